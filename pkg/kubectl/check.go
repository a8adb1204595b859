package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (e *env) newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check SERVICE",
		Short: "Explain which pods of a Service can become master, and what happens next",
		Long: `Explain which pods of a Service can become master and in which order, what is wrong with
the Service, and what the controller would do next.

It decides as the controller does, from the Service, its Lease and its pods. Three things
are known to the controller alone: the heartbeats of nodes, the answers to its probes, and
for how long a master has been down.`,
		Example: `  # See why a pod of the Service web does not become master
  kubectl active-standby check web`,
		Args:              oneService,
		ValidArgsFunction: e.completeServices(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return e.check(cmd.Context(), args[0]) },
	}
}

func (e *env) check(ctx context.Context, name string) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	w, err := read(ctx, c.live(), c.namespace)
	if err != nil {
		return err
	}
	s := service(w.services, c.namespace, name)
	if s == nil {
		return c.missing(ctx, name)
	}
	var notes []string
	if !w.seesSlices {
		notes = append(notes, "EndpointSlices may not be read, so it is unknown to which pods traffic goes")
	}
	o := w.look(s)
	if settings, _, served := api.Parse(s); served {
		return e.explain(ctx, c, s, o, settings, notes)
	}
	writer := printers.GetNewTabWriter(e.Out)
	fmt.Fprintf(writer, "Service:\t%s\n", s.Name)
	printProblems(writer, statusOf(s, o).Problems)
	fmt.Fprintf(writer, "Next:\tnothing, because the Service is not served\n")
	return writer.Flush()
}

// explain prints the election of a Service that is served.
func (e *env) explain(ctx context.Context, c connection, s *corev1.Service, o *observation.Observation, settings api.Settings, notes []string) error {
	o, allowed, err := c.withNodes(ctx, o)
	if err != nil {
		return err
	}
	if !allowed {
		notes = append(notes, "nodes may not be read, so it is unknown which are cordoned")
	}
	view, st := o.View(), statusOf(s, o)
	writer := printers.GetNewTabWriter(e.Out)
	fmt.Fprintf(writer, "Service:\t%s (routing %s)\n", s.Name, o.Routing(s, settings.Routing))
	fmt.Fprintf(writer, "Lease:\t%s\n", leaseLine(o, s))
	fmt.Fprintf(writer, "Master:\t%s\n", masterLine(st))
	problems, err := c.withRefusal(ctx, s, st.Problems)
	if err != nil {
		return err
	}
	printProblems(writer, problems)
	if view.Lease.Exists {
		fmt.Fprintf(writer, "Next:\t%s\n", next(election.Decide(view)))
	} else {
		fmt.Fprintf(writer, "Next:\t%s\n", noLease(o.Key))
	}
	if says := overdue(problems); says != "" {
		fmt.Fprintf(writer, "Overdue:\t%s\n", says)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(e.Out)
	if err := e.printPods(o, view, allowed); err != nil {
		return err
	}
	hidden := "the nodes' heartbeats"
	if asked := o.Settings().Probe; asked != (api.Probe{}) {
		hidden += ", and what the pods answer to the controller's probe " + asked.String()
	}
	for _, v := range election.Explain(view) {
		if v.NoFailback != "" {
			notes = append(notes, fmt.Sprintf("the master is not %s, which is preferred: %s", v.Name, v.NoFailback))
		}
	}
	for _, note := range append(notes, "the controller alone knows "+hidden) {
		fmt.Fprintf(e.Out, "\nNote: %s.", note)
	}
	fmt.Fprintln(e.Out)
	return nil
}

func leaseLine(o *observation.Observation, s *corev1.Service) string {
	var others []string
	for _, other := range o.Services {
		if other.UID != s.UID {
			others = append(others, other.Name)
		}
	}
	line := o.Key.Name
	if o.Lease == nil {
		line += " (not found)"
	}
	if len(others) > 0 {
		line += ", shared with " + strings.Join(others, ", ")
	}
	return line
}

func masterLine(st status) string {
	if st.Master == nil {
		return none
	}
	line := st.Master.Name
	if st.Master.Node != "" {
		line += " on " + st.Master.Node
	}
	if st.AcquireTime != nil {
		line += fmt.Sprintf(", for %s", since(st.AcquireTime.Time))
	}
	return fmt.Sprintf("%s, in epoch %d (%s)", line, st.Epoch, cmp.Or(st.Reason, unknown))
}

func printProblems(out io.Writer, problems []problem) {
	header := "Problems:"
	for _, p := range problems {
		fmt.Fprintf(out, "%s\t%s: %s\n", header, p.Reason, p.Message)
		header = ""
	}
	if header != "" {
		fmt.Fprintf(out, "%s\t%s\n", header, none)
	}
}

// overdue says that the controller, which acts at once, has not done what it has yet to do; empty if
// it has.
func overdue(problems []problem) string {
	has := func(reason string) bool {
		return slices.ContainsFunc(problems, func(p problem) bool { return p.Reason == reason })
	}
	switch {
	case !has(statusPending):
		return ""
	case has(api.ReasonWriteRefused):
		return "what is Pending, because the API server refuses it (WriteRefused)"
	}
	return "what is Pending, although the controller acts at once; if that lasts, it does not run, does not look after the namespace, cannot write, or knows more than the plugin"
}

// next returns what the controller would do.
func next(d election.Decision) string {
	var line string
	switch d.Action {
	case election.Hold, election.Refuse:
		line = fmt.Sprintf("nothing: %s", d.Message())
	case election.Failover, election.Switchover, election.Elect:
		line = fmt.Sprintf("%s to %s, in epoch %d", d.Action, d.Holder, d.Epoch)
	default:
		line = fmt.Sprintf("%s: %s", d.Action, d.Message())
	}
	line += fmt.Sprintf(" (%s)", d.Reason)
	if d.Next != "" && d.Action != election.Stop {
		line += fmt.Sprintf("; a switchover to %s is in progress", d.Next)
	}
	if d.Again > 0 {
		line += fmt.Sprintf("; the controller looks again within %s", d.Again.Round(time.Second))
	}
	return line
}

var podColumns = []string{"Rank", "Pod", "Node", "Cordoned", "Role", "Eligible", "Why"}

func (e *env) printPods(o *observation.Observation, view election.View, nodesKnown bool) error {
	nodes := map[string]string{}
	for _, p := range o.Pods {
		nodes[p.Name] = cmp.Or(p.Spec.NodeName, none)
	}
	var rows [][]any
	var before string
	for _, v := range election.Explain(view) {
		var rank any = "-"
		role, eligible, why := "standby", "no", v.Why.Of("it")
		switch {
		case v.UID == view.Lease.HolderUID && !view.Lease.Foreign:
			role = "master"
		case v.Unselected || view.Lease.Foreign:
			role = none
		}
		if v.Rank > 0 {
			rank, eligible, why = v.Rank, "yes", "first in the order"
		}
		if v.Rank > 1 {
			why = fmt.Sprintf("after %s, which %s", before, v.Ahead)
		}
		cordoned := "no"
		switch {
		case !nodesKnown:
			cordoned = "unknown"
		case v.Draining:
			cordoned = "yes"
		}
		before = v.Name
		rows = append(rows, []any{rank, v.Name, nodes[v.Name], cordoned, role, eligible, why})
	}
	if len(rows) == 0 {
		fmt.Fprintln(e.Out, "The Service selects no pods.")
		return nil
	}
	return printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(table(podColumns, rows...), e.Out)
}
