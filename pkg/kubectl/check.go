package kubectl

import (
	"cmp"
	"context"
	"errors"
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

type checkCommand struct {
	*env
	files     []string
	recursive bool
	local     bool
}

func (e *env) newCheck() *cobra.Command {
	o := &checkCommand{env: e}
	cmd := &cobra.Command{
		Use:   "check SERVICE | -f FILENAME",
		Short: "Explain which pods of a Service can become master, and what happens next",
		Long: `Explain which pods of a Service can become master and in which order, what is wrong with
the Service, and what the controller would do next. Of a Service that is not annotated it
explains what would happen if it were.

With -f it checks manifests before they are applied. It ends with exit code 1 if anything in
the files is wrong: an annotation of ` + api.Domain + ` that is not known, or whose value is not
allowed, or Services that contradict each other. What the cluster's pods have to do with it is
explained, and does not change the exit code.

It decides as the controller does, from the Service, its Lease and its pods. Three things
are known to the controller alone: the heartbeats of nodes, the answers to its probes, and
for how long a master has been down.`,
		Example: `  # See why a pod of the Service web does not become master
  kubectl active-standby check web

  # Check manifests, with the pods of the cluster
  kubectl active-standby check -f web.yaml -f more/

  # Check what another program prints, without a cluster
  kubectl active-standby check -f - --local`,
		ValidArgsFunction: e.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(o.files) == 0 && (o.recursive || o.local):
				return usage(cmd, errors.New("--recursive and --local are for files; see -f"))
			case len(o.files) == 0:
				if err := oneService(cmd, args); err != nil {
					return err
				}
				return o.checkService(cmd.Context(), args[0])
			case len(args) > 0:
				return usage(cmd, errors.New("a Service cannot be named together with -f"))
			}
			return o.checkFiles(cmd.Context())
		},
	}
	cmd.Flags().StringSliceVarP(&o.files, "filename", "f", nil, "Files or folders with manifests to check; - for stdin.")
	cmd.Flags().BoolVarP(&o.recursive, "recursive", "R", false, "With -f, read also the folders within a folder.")
	e.addColor(cmd)
	cmd.Flags().BoolVar(&o.local, "local", false, "With -f, ask no cluster.")
	return cmd
}

func (e *env) checkService(ctx context.Context, name string) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	t, err := c.subject(ctx, name)
	if err != nil {
		return err
	}
	return e.explain(ctx, t)
}

// explain prints the election of the Service.
func (e *env) explain(ctx context.Context, t *subject) error {
	st := statusOf(t.service, t.o)
	problems, err := t.problems(ctx, st)
	if err != nil {
		return err
	}
	var is []string
	if t.state != "" {
		is = append(is, t.state)
	}
	if api.Observes(t.service) {
		is = append(is, "only observed")
	}
	if m := t.member(); m != nil {
		is = append(is, fmt.Sprintf("routing %s", m.Settings.Routing))
	}
	title := t.service.Name
	if len(is) > 0 {
		title += " (" + strings.Join(is, "; ") + ")"
	}
	writer := printers.GetNewTabWriter(e.Out)
	fmt.Fprintf(writer, "Service:\t%s\n", title)
	if t.suppose != "" {
		fmt.Fprintf(writer, "Suppose:\t%s\n", t.suppose)
	}
	if !t.served() {
		e.printProblems(writer, problems)
		fmt.Fprintf(writer, "Next:\tnothing, because the Service is not served\n")
		return writer.Flush()
	}
	fmt.Fprintf(writer, "Lease:\t%s\n", leaseLine(t.o, t.service))
	fmt.Fprintf(writer, "Master:\t%s\n", masterLine(st))
	e.printProblems(writer, problems)
	view := t.o.View()
	if view.Lease.Exists || t.suppose != "" {
		d := election.Decide(view)
		fmt.Fprintf(writer, "Next:\t%s\n", e.paint(nextColor(d), next(d, t.o.Says(d, t.service))))
	} else {
		fmt.Fprintf(writer, "Next:\t%s\n", e.paint(colorOf(statusNoLease), noLease(t.o.Key)))
	}
	for _, line := range t.lines {
		fmt.Fprintf(writer, "%s:\t%s\n", line.title, line.text)
	}
	if says := t.readiness(); says != "" {
		fmt.Fprintf(writer, "Readiness:\t%s\n", says)
	}
	if says := overdue(problems); says != "" {
		fmt.Fprintf(writer, "Overdue:\t%s\n", says)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(e.Out)
	if err := e.printPods(t); err != nil {
		return err
	}
	notes := t.notes
	for _, v := range election.Explain(view) {
		if v.NoFailback != "" {
			claim := "is preferred"
			if !v.Preferred {
				claim = "has a higher priority"
			}
			notes = append(notes, fmt.Sprintf("the master is not %s, which %s: %s", v.Name, claim, v.NoFailback))
		}
	}
	for _, note := range append(notes, t.hidden()) {
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

func (e *env) printProblems(out io.Writer, problems []problem) {
	header := "Problems:"
	for _, p := range problems {
		fmt.Fprintf(out, "%s\t%s: %s\n", header, e.paint(colorOf(p.Reason), p.Reason), p.Message)
		header = ""
	}
	if header != "" {
		fmt.Fprintf(out, "%s\t%s\n", header, e.paint(asItShouldBe, none))
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

// next returns what the controller would do. says is the decision as a sentence.
func next(d election.Decision, says string) string {
	var line string
	switch d.Action {
	case election.Hold, election.Refuse:
		line = fmt.Sprintf("nothing: %s", d.Message())
	case election.Elect:
		line = fmt.Sprintf("%s %s, in epoch %d", d.Action, d.Holder, d.Epoch)
	case election.Failover, election.Switchover:
		line = fmt.Sprintf("%s to %s, in epoch %d", d.Action, d.Holder, d.Epoch)
	default:
		line = fmt.Sprintf("%s: %s", d.Action, says)
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

func (e *env) printPods(t *subject) error {
	view, nodes := t.o.View(), map[string]string{}
	for _, p := range t.o.Pods {
		nodes[p.Name] = cmp.Or(p.Spec.NodeName, none)
	}
	var rows [][]any
	var before string
	verdicts, columns := election.Explain(view), podColumns
	prioritized := slices.ContainsFunc(verdicts, func(v election.Verdict) bool { return v.Priority != 0 })
	if prioritized {
		columns = slices.Insert(slices.Clone(columns), len(columns)-1, "Priority")
	}
	for _, v := range verdicts {
		var rank any = "-"
		role, eligible, why := "standby", e.paint(notAsItShouldBe, "no"), v.Why.Of("it")
		switch {
		case v.UID == view.Lease.HolderUID && !view.Lease.Foreign:
			role = "master"
		case v.Unselected || view.Lease.Foreign:
			role = none
		}
		if v.Rank > 0 {
			rank, eligible, why = v.Rank, e.paint(asItShouldBe, "yes"), "first in the order"
		}
		if v.Rank > 1 {
			why = fmt.Sprintf("after %s, which %s", before, v.Ahead)
		}
		cordoned := "no"
		switch {
		case !t.nodesKnown:
			cordoned = "unknown"
		case v.Draining:
			cordoned = "yes"
		}
		before = v.Name
		row := []any{rank, v.Name, nodes[v.Name], cordoned, role, eligible}
		if prioritized {
			row = append(row, v.Priority)
		}
		rows = append(rows, append(row, why))
	}
	if len(rows) == 0 {
		fmt.Fprintln(e.Out, "The Service selects no pods.")
		return nil
	}
	return printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(table(e.columns(columns, "Eligible"), rows...), e.Out)
}
