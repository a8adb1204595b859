package kubectl

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/election"
)

// completeServices completes the names of annotated Services that are not on the command
// line yet. The command takes so many names; any number if most is negative. Errors are
// ignored, because a shell has no place to show them.
func (e *env) completeServices(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := e.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		services, _ := c.live().Annotated(cmd.Context(), c.namespace)
		for _, s := range services {
			if !slices.Contains(args, s.Name) {
				names = append(names, s.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeStandbys completes the names of the pods that could become master of the Service
// on the command line.
func (e *env) completeStandbys(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := e.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	w, err := read(cmd.Context(), c.live(), c.namespace)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s := service(w.services, c.namespace, args[0])
	if s == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	o := w.look(s)
	if len(o.Members) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	view := o.View()
	for _, v := range election.Explain(view) {
		if v.Rank > 0 && v.UID != view.Lease.HolderUID {
			names = append(names, v.Name)
		}
	}
	// The best standby is first.
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func completeNamespaces(connect connector) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		if c, err := connect(); err == nil {
			if list, err := c.client.CoreV1().Namespaces().List(cmd.Context(), metav1.ListOptions{}); err == nil {
				for _, n := range list.Items {
					names = append(names, n.Name)
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes the values of a flag, which must exist.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(fmt.Sprintf("--%s: %v", flag, err))
	}
}
