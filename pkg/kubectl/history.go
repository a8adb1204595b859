package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (e *env) newHistory() *cobra.Command {
	var out *output
	cmd := &cobra.Command{
		Use:   "history SERVICE",
		Short: "Show when and why the master of a Service moved",
		Long: `Show when and why the master of a Service moved, the oldest move first. This is what the
Service's events say, which Kubernetes keeps for an hour by default; the last move is known
from the Lease, however long ago it was.`,
		Example: `  # The moves of the last hour
  kubectl active-standby history web

  # With what the controller said of each
  kubectl active-standby history web -o wide`,
		Args:              oneService,
		ValidArgsFunction: e.completeServices(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return e.history(cmd.Context(), args[0], out) },
	}
	out = newOutput(cmd, "wide, json, yaml")
	out.flags.NamePrintFlags = nil
	return cmd
}

// transition is a change of master, or what the controller said of one.
type transition struct {
	// Time is when it happened; of one that happened again and again, the last time.
	Time  metav1.MicroTime `json:"time"`
	First metav1.MicroTime `json:"firstTime"`
	Count int32            `json:"count"`
	// Epoch is the first one's.
	Epoch   int32  `json:"epoch,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to"`
	Action  string `json:"action,omitempty"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
}

var historyColumns = []string{"When", "Epoch", "From", "To", "Action", "Reason", "(Message)"}

func (t transition) cells() []any {
	when := since(t.Time.Time)
	if t.Count > 1 {
		when = fmt.Sprintf("%s (x%d over %s)", when, t.Count, since(t.First.Time))
	}
	var epoch any = unknown
	if t.Epoch > 0 {
		epoch = t.Epoch
	}
	from := cmp.Or(t.From, unknown)
	if t.Reason == string(election.FirstEligible) {
		from = none
	}
	return []any{when, epoch, from, t.To, cmp.Or(t.Action, unknown), t.Reason, cmp.Or(t.Message, none)}
}

func (e *env) history(ctx context.Context, name string, out *output) error {
	printer, err := out.printer()
	if err != nil {
		return err
	}
	c, w, s, err := e.readService(ctx, name)
	if err != nil {
		return err
	}
	events, allowed, err := c.events(ctx, s)
	if err != nil {
		return err
	}
	moves := transitions(events, w.look(s))
	switch {
	case !allowed:
		fmt.Fprintln(e.ErrOut, "Note: the events may not be read (it takes list of events in events.k8s.io), so that only the Lease's last move is known.")
	case len(moves) == 0:
		fmt.Fprintf(e.ErrOut, "No moves found for service %s.\n", name)
	case moves[0].Epoch > 1:
		fmt.Fprintln(e.ErrOut, "Note: earlier moves are not known any more. Kubernetes keeps events for an hour by default.")
	}
	return printTransitions(printer, out, e, s, moves)
}

func printTransitions(printer printers.ResourcePrinter, out *output, e *env, s *corev1.Service, moves []transition) error {
	if out.tabular() {
		var rows [][]any
		for _, t := range moves {
			rows = append(rows, t.cells())
		}
		return printer.PrintObj(table(historyColumns, rows...), e.Out)
	}
	objects := []*unstructured.Unstructured{}
	for _, t := range moves {
		o, err := object("Transition", s.Namespace, s.Name, "transition", &t)
		if err != nil {
			return err
		}
		objects = append(objects, o)
	}
	return printList(printer, e.Out, objects)
}

// events are those of the Service, which need not be allowed.
func (c connection) events(ctx context.Context, s *corev1.Service) (of []eventsv1.Event, allowed bool, err error) {
	selector := fields.Set{"regarding.kind": "Service", "regarding.name": s.Name}.AsSelector().String()
	list, err := c.client.EventsV1().Events(s.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	switch {
	case apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("listing the events: %w", err)
	}
	// A Service of that name may have been deleted, and its epochs with it.
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Kind != "Service" || e.Regarding.UID != s.UID }), true, nil
}

// transitions are those that the events tell of, and the Lease's last; the oldest first.
func transitions(events []eventsv1.Event, o *observation.Observation) (moves []transition) {
	for _, e := range events {
		switch election.Action(e.Action) {
		case election.Adopt, election.Elect, election.Failover, election.Switchover, election.Restore:
		default:
			continue
		}
		if e.Type != corev1.EventTypeNormal || e.Related == nil {
			continue // An edit that was refused.
		}
		t := transition{Time: e.EventTime, First: e.EventTime, Count: 1, To: e.Related.Name, Action: e.Action, Reason: e.Reason, Message: e.Note}
		t.From, t.Epoch = election.ParseMessage(e.Note)
		if e.Series != nil {
			t.Time, t.Count = e.Series.LastObservedTime, e.Series.Count
		}
		moves = append(moves, t)
	}
	if last := lastMove(o); last != nil && !slices.ContainsFunc(moves, last.toldBy) {
		moves = append(moves, *last)
	}
	slices.SortStableFunc(moves, func(a, b transition) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), cmp.Compare(a.Epoch, b.Epoch))
	})
	return moves
}

// lastMove is the one that the Lease tells of, if there is any.
func lastMove(o *observation.Observation) *transition {
	lease := o.LeaseView()
	if lease.Foreign || lease.HolderUID == "" {
		return nil
	}
	at := metav1.NewMicroTime(lease.Acquired)
	return &transition{Time: at, First: at, Count: 1, Epoch: lease.Epoch, To: lease.Holder, Reason: o.Lease.Annotations[api.AnnotationReason]}
}

// toldBy says whether an event tells of the Lease's last move. One that stands for
// several moves has the epoch of the first alone.
func (t transition) toldBy(event transition) bool {
	return event.Action != string(election.Restore) &&
		(event.Epoch == t.Epoch || event.Count > 1 && event.To == t.To && event.Reason == t.Reason)
}
