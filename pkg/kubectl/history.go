package kubectl

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (e *env) newHistory() *cobra.Command {
	var out *output
	cmd := &cobra.Command{
		Use:   "history SERVICE",
		Short: "Show when and why the master of a Service moved",
		Long: `Show when and why the master of a Service moved, the oldest move first. The election's Lease
remembers the last ten moves, however long ago they were.`,
		Example: `  # The last moves
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

// transition is a change of master.
type transition struct {
	Time    metav1.MicroTime `json:"time"`
	Epoch   int32            `json:"epoch,omitempty"`
	From    string           `json:"from,omitempty"`
	To      string           `json:"to"`
	Action  string           `json:"action,omitempty"`
	Reason  string           `json:"reason"`
	Message string           `json:"message,omitempty"`
}

var historyColumns = []string{"When", "Epoch", "From", "To", "Action", "Reason", "(Message)"}

func (t transition) cells() []any {
	var epoch any = unknown
	if t.Epoch > 0 {
		epoch = t.Epoch
	}
	from := cmp.Or(t.From, unknown)
	if t.Reason == string(election.FirstEligible) {
		from = none
	}
	return []any{since(t.Time.Time), epoch, from, t.To, cmp.Or(t.Action, unknown), t.Reason, cmp.Or(t.Message, none)}
}

func (e *env) history(ctx context.Context, name string, out *output) error {
	printer, err := out.printer()
	if err != nil {
		return err
	}
	_, w, s, err := e.readService(ctx, name)
	if err != nil {
		return err
	}
	moves := transitions(w.look(s))
	switch {
	case len(moves) == 0:
		fmt.Fprintf(e.ErrOut, "No moves found for service %s.\n", name)
	case moves[0].Epoch > 1:
		fmt.Fprintf(e.ErrOut, "Note: earlier moves are no longer known. The Lease keeps the last %d.\n", lease.MovesKept)
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

// transitions are those that the Lease remembers, the oldest first.
func transitions(o *observation.Observation) (moves []transition) {
	held := o.View().Lease
	if held.Foreign {
		return nil
	}
	for _, m := range lease.History(o.Lease) {
		moves = append(moves, transition{Time: m.Time, Epoch: m.Epoch, From: m.From, To: m.To, Action: string(m.Action), Reason: string(m.Reason), Message: m.Decision().Message()})
	}
	if held.HolderUID != "" && (len(moves) == 0 || moves[len(moves)-1].Epoch < held.Epoch) {
		// A version before this one has written the Lease, or somebody has removed the history.
		moves = append(moves, transition{Time: metav1.NewMicroTime(held.Acquired), Epoch: held.Epoch, To: held.Holder, Reason: o.Lease.Annotations[api.AnnotationReason]})
	}
	return moves
}
