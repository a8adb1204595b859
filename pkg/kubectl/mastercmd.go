package kubectl

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

func (e *env) newMaster() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "master SERVICE",
		Short: "Print the name of the pod that is master",
		Long: `Print the name of the pod that is master of a Service, for other commands.

kubectl logs, exec and port-forward take a Service too, and choose a pod that its selector
matches. With routing selector and label that is the master. With routing endpointslice the
selector matches no pod, and this command is the way.

If there is no master, or its pod no longer exists, it is an error. If the master is not
eligible, a warning says why.`,
		Example: `  # Follow the logs of the master of the Service web
  kubectl active-standby master web -o name | xargs kubectl logs -f

  # The name alone
  kubectl active-standby master web`,
		Args:              oneService,
		ValidArgsFunction: e.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "" && format != "name" {
				return genericclioptions.NoCompatiblePrinterError{OutputFormat: &format, AllowedFormats: []string{"name"}}
			}
			return e.master(cmd.Context(), args[0], format)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "Output format. One of: (name), which prints pod/NAME.")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"name"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (e *env) master(ctx context.Context, name, format string) error {
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
	o, err := served(w, s)
	if err != nil {
		return err
	}
	if api.Observes(s) {
		fmt.Fprintf(e.ErrOut, "Warning: traffic of service %s does not follow the master%s\n", name, api.OnlyObserved)
	}
	held, check := o.View().Lease, c.kubectl("active-standby check %s", name)
	if held.HolderUID == "" {
		return fmt.Errorf("service %s has no master yet; %s", name, check)
	}
	verdicts := election.Explain(o.View())
	i := slices.IndexFunc(verdicts, func(v election.Verdict) bool { return v.UID == held.HolderUID })
	if i < 0 {
		return fmt.Errorf("the master of service %s, %s, no longer exists; %s", name, o.MasterName(), check)
	}
	v := verdicts[i]
	if v.Why != "" {
		fmt.Fprintf(e.ErrOut, "Warning: %s\n", v.Why.Of(v.Name))
	}
	if format == "name" {
		fmt.Fprint(e.Out, "pod/")
	}
	fmt.Fprintln(e.Out, v.Name)
	return nil
}
