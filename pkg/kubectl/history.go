package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
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
	e.addColor(cmd)
	out = newOutput(cmd, "wide, json, yaml")
	out.flags.NamePrintFlags = nil
	return cmd
}

// transition is a change of master. Of the last one the Lease may tell nothing but its
// result; then From, Action and Message are empty.
type transition struct {
	Time    metav1.MicroTime `json:"time"`
	Epoch   int32            `json:"epoch"`
	From    string           `json:"from,omitempty"`
	To      string           `json:"to"`
	Action  election.Action  `json:"action,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Message string           `json:"message,omitempty"`
}

var historyColumns = []string{"When", "Epoch", "From", "To", "Action", "Reason", "(Message)"}

func (t transition) cells() []any {
	from := cmp.Or(t.From, unknown)
	if t.Action == election.Elect || t.Action == election.Adopt {
		from = none
	}
	return []any{since(t.Time.Time), t.Epoch, from, t.To, cmp.Or(string(t.Action), unknown), cmp.Or(t.Reason, unknown), cmp.Or(t.Message, none)}
}

func (e *env) history(ctx context.Context, name string, out *output) error {
	printer, err := out.printer()
	if err != nil {
		return err
	}
	c, err := e.connect()
	if err != nil {
		return err
	}
	s, err := c.annotated(ctx, name)
	if err != nil {
		return err
	}
	k := observation.LeaseKey(s)
	l, err := c.live().Lease(ctx, k)
	if err != nil {
		return err
	}
	moves, note := transitions(k, l)
	if note != "" {
		fmt.Fprintf(e.ErrOut, "Note: %s\n", note)
	}
	if out.tabular() {
		return e.printMoves(printer, moves)
	}
	return printTransitions(printer, e.Out, s, moves)
}

func (e *env) printMoves(printer printers.ResourcePrinter, moves []transition) error {
	var rows [][]any
	for _, t := range moves {
		row := t.cells()
		c := asItShouldBe
		if t.Action == election.Failover {
			c = notAsItShouldBe
		}
		row[slices.Index(historyColumns, "Action")] = e.paint(c, cmp.Or(string(t.Action), unknown))
		rows = append(rows, row)
	}
	return printer.PrintObj(table(e.columns(historyColumns, "Action"), rows...), e.Out)
}

func printTransitions(printer printers.ResourcePrinter, out io.Writer, s *corev1.Service, moves []transition) error {
	objects := []*unstructured.Unstructured{}
	for _, t := range moves {
		o, err := object("Transition", s.Namespace, s.Name, "transition", &t)
		if err != nil {
			return err
		}
		objects = append(objects, o)
	}
	return printList(printer, out, objects)
}

// transitions returns the moves that the Lease tells of, the oldest first, and a note on
// what it does not tell, empty if it tells all.
func transitions(k types.NamespacedName, l *coordinationv1.Lease) (moves []transition, note string) {
	held := lease.Decode(l)
	switch {
	case !held.Exists:
		return nil, noLease(k)
	case held.Foreign:
		return nil, observation.ForeignLease(l) + "."
	case held.HolderUID == "":
		return nil, "there has not been a master yet."
	}
	for _, m := range lease.History(l) {
		moves = append(moves, transition{m.Time, m.Epoch, m.From, m.To, m.Action, string(m.Reason), m.Decision().Message()})
	}
	if len(moves) == 0 || moves[len(moves)-1].Epoch < held.Epoch {
		moves = append(moves, transition{Time: metav1.NewMicroTime(held.Acquired), Epoch: held.Epoch, To: held.Holder, Reason: l.Annotations[api.AnnotationReason]})
		return moves, fmt.Sprintf("the Lease tells of epoch %d only who is master; an older version of the controller wrote it, or it was removed and restored.", held.Epoch)
	}
	if moves[0].Epoch > 1 {
		note = fmt.Sprintf("moves before epoch %d are not known; the Lease remembers the last %d at most.", moves[0].Epoch, lease.MovesKept)
	}
	return moves, note
}
