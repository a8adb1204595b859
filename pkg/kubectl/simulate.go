package kubectl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (e *env) newSimulate() *cobra.Command {
	var without []string
	cmd := &cobra.Command{
		Use:   "simulate SERVICE --without POD|node/NODE",
		Short: "Explain which pod would follow if pods or nodes were gone",
		Long: `Explain which pod would become master of a Service if pods or nodes were gone, and why the
others would not. Nothing is changed.

The controller's own code decides, on what is read from the cluster without what --without names:
a pod that does not exist, or pods whose node does not exist. If the controller would wait first,
that is shown, and what it would do then.`,
		Example: `  # Which pod follows if the pod web-0 is gone
  kubectl active-standby simulate web --without web-0

  # Does the Service survive the loss of two nodes
  kubectl active-standby simulate web --without node/node-1 --without node/node-2`,
		Args:              oneService,
		ValidArgsFunction: e.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(without) == 0 {
				return usage(cmd, errors.New("--without is required: a pod, or node/NODE"))
			}
			return e.simulate(cmd.Context(), args[0], without)
		},
	}
	e.addColor(cmd)
	cmd.Flags().StringSliceVar(&without, "without", nil, "What is gone: POD, pod/POD or node/NODE. It can be repeated.")
	completeFlag(cmd, "without", e.completeWithout)
	return cmd
}

func (e *env) simulate(ctx context.Context, name string, without []string) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	t, err := c.subject(ctx, name)
	if err != nil {
		return err
	}
	if err := t.remove(without); err != nil {
		return err
	}
	return e.explain(ctx, t)
}

// remove takes pods and nodes out of what was read.
func (t *subject) remove(without []string) error {
	if !t.served() {
		return fmt.Errorf("services %q is not served; %s", t.service.Name, t.kubectl("active-standby check %s", t.service.Name))
	}
	pods, nodes := sets.New[string](), sets.New[string]()
	for _, what := range without {
		kind, name, slashed := strings.Cut(what, "/")
		switch {
		case !slashed:
			kind, name = "pod", what
		case kind != "pod" && kind != "node":
			return fmt.Errorf("--without: %q is not valid; allowed: POD, pod/POD or node/NODE", what)
		}
		in, of := pods, func(p observation.Pod) string { return p.Name }
		if kind == "node" {
			in, of = nodes, func(p observation.Pod) string { return p.Spec.NodeName }
		}
		if name == "" || !slices.ContainsFunc(t.o.Pods, func(p observation.Pod) bool { return of(p) == name }) {
			return fmt.Errorf("--without: the election of %s has no %s %q", t.service.Name, map[string]string{"pod": "pod", "node": "pod on the node"}[kind], name)
		}
		in.Insert(name)
	}
	var gone []string
	for _, name := range sets.List(pods) {
		gone = append(gone, "pod/"+name)
	}
	for _, name := range sets.List(nodes) {
		gone = append(gone, "node/"+name)
	}
	verb := "is"
	if len(gone) > 1 {
		verb = "are"
	}
	if t.suppose != "" {
		t.suppose += "; then "
	}
	t.suppose += fmt.Sprintf("%s %s gone", strings.Join(gone, ", "), verb)
	in := t.o.Inputs
	in.Pods = slices.DeleteFunc(slices.Clone(in.Pods), func(p *corev1.Pod) bool { return pods.Has(p.Name) })
	find := in.Nodes.Find
	in.Nodes.Find = func(name string) *corev1.Node {
		switch {
		case nodes.Has(name):
			return nil
		case find == nil:
			// Nothing is known of it.
			return &corev1.Node{}
		}
		return find(name)
	}
	t.o = observation.Look(in)
	t.lines = slices.DeleteFunc(t.lines, func(l line) bool { return l.title == "Traffic" })
	t.then()
	return nil
}

// then adds what the controller would do once it has waited.
func (t *subject) then() {
	const most = 10
	o, waited := t.o, time.Duration(0)
	for range most {
		d := election.Decide(o.View())
		if d.Action != election.Hold || d.Served() || d.Again <= 0 {
			if waited > 0 {
				t.lines = append(t.lines, line{"Then", fmt.Sprintf("after %s: %s", waited.Round(time.Second), next(d, t.o.Says(d, t.service)))})
			}
			return
		}
		in := o.Inputs
		if o.View().DownSince.IsZero() {
			in.Outage = observation.Outage{Holder: d.HolderUID, Renewed: lease.Renewed(o.Lease), Since: o.Now}
		}
		in.Now = in.Now.Add(d.Again)
		waited += d.Again
		o = observation.Look(in)
	}
}

// completeWithout completes the names of the election's pods and nodes.
func (e *env) completeWithout(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := e.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	t, err := c.subject(cmd.Context(), args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	nodes := sets.New[string]()
	for _, p := range t.o.Pods {
		names = append(names, p.Name)
		if p.Spec.NodeName != "" {
			nodes.Insert("node/" + p.Spec.NodeName)
		}
	}
	slices.Sort(names)
	return append(names, sets.List(nodes)...), cobra.ShellCompDirectiveNoFileComp
}
