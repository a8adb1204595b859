// Package kubectl is the kubectl plugin `kubectl active-standby`. It works with its user's
// own rights, and decides nothing: with packages observation and election it shows what the
// controller would decide, and it asks the controller by writing what a user can write. Its
// output follows kubectl's conventions.
package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// displayName is how users call the plugin. fieldManager is what its writes are signed with.
const (
	displayName  = "kubectl active-standby"
	fieldManager = "kubectl-active-standby"
)

// Run runs the command line, and returns the exit code.
func Run(ctx context.Context, streams genericiooptions.IOStreams, args []string) int {
	flags := genericclioptions.NewConfigFlags(true)
	// The plugin discovers no API, so there is nothing to cache.
	flags.CacheDir = nil
	flags.WrapConfigFn = func(config *rest.Config) *rest.Config {
		// The API server limits requests by itself, with priority and fairness.
		config.QPS = -1
		return config
	}
	cmd := newCommand(&env{IOStreams: streams, connect: connectBy(flags)})
	flags.AddFlags(cmd.PersistentFlags())
	completeFlag(cmd, "namespace", completeNamespaces(connectBy(flags)))
	return run(ctx, cmd, streams, args)
}

func run(ctx context.Context, cmd *cobra.Command, streams genericiooptions.IOStreams, args []string) int {
	cmd.SetArgs(args)
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	err := cmd.ExecuteContext(ctx)
	streams.ErrOut = escaping{streams.ErrOut}
	if err == nil {
		return 0
	}
	var several utilerrors.Aggregate
	if errors.As(err, &several) {
		for _, one := range several.Errors() {
			fmt.Fprintf(streams.ErrOut, "error: %v\n", one)
		}
	} else {
		fmt.Fprintf(streams.ErrOut, "error: %v\n", err)
	}
	return 1
}

// env is what the subcommands work with.
type env struct {
	genericiooptions.IOStreams
	connect connector
	// colors: the output is in colors.
	colors bool
}

// connection is the cluster and the namespace that the flags and the kubeconfig name.
type connection struct {
	client    kubernetes.Interface
	namespace string
	// explicit: a flag names the namespace, so commands for users to type must name it too.
	explicit bool
}

type connector func() (connection, error)

func connectBy(flags *genericclioptions.ConfigFlags) connector {
	return func() (c connection, err error) {
		if c.namespace, c.explicit, err = flags.ToRawKubeConfigLoader().Namespace(); err != nil {
			// What a flag says needs no kubeconfig.
			c.namespace, c.explicit = *flags.Namespace, *flags.Namespace != ""
			return c, err
		}
		config, err := flags.ToRESTConfig()
		if err != nil {
			return c, err
		}
		c.client, err = kubernetes.NewForConfig(config)
		return c, err
	}
}

// kubectl returns a command for the user to type.
func (c connection) kubectl(format string, args ...any) string {
	line := "kubectl "
	if c.explicit {
		line += "-n " + c.namespace + " "
	}
	return line + fmt.Sprintf(format, args...)
}

// escaping is a terminal that takes no word of another user for a command.
type escaping struct{ io.Writer }

func (e escaping) Write(p []byte) (n int, err error) {
	if err := printers.WriteEscaped(e.Writer, string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func newCommand(e *env) *cobra.Command {
	e.Out, e.ErrOut = escaping{e.Out}, escaping{e.ErrOut}
	cmd := &cobra.Command{
		Use:         "kubectl-active_standby",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: displayName},
		Short:       "Look at the masters of Services, and move them",
		Long: `Look at the masters of Services that are annotated with
qoqo.dev/service-mode: active-standby, and move them.

It works with your own rights. What it writes you can also write with kubectl: the Lease's
holder, and an annotation of the Service. The controller decides.`,
		Example: `  # Show the masters in this namespace
  kubectl active-standby status

  # Make the best standby of the Service web its master
  kubectl active-standby switchover web

  # See why a pod of the Service web does not become master
  kubectl active-standby check web`,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	cmd.SetFlagErrorFunc(usage)
	cmd.AddCommand(e.newStatus(), e.newSwitchover(), e.newPause(), e.newResume(), e.newHistory(), e.newCheck(), e.newSimulate(), e.newMaster(), e.newReport(), newVersion(e.IOStreams))
	return cmd
}

// usage adds to an error in the command line where its usage is explained.
func usage(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w\nSee '%s --help' for usage and examples", err, cmd.CommandPath())
}

func oneService(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, errors.New("the name of one Service is required"))
	}
	return nil
}

func someServices(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(cmd, errors.New("the name of a Service is required"))
	}
	return nil
}
