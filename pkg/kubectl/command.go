// Package kubectl is the kubectl plugin `kubectl active-standby`. It works with
// nothing but its user's own rights, and decides nothing: it shows what the controller
// would decide by packages observation and election, and asks the controller by what
// a user can write. What it prints follows kubectl's conventions.
package kubectl

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// displayName is how the plugin is called, and fieldManager how its writes are signed.
const (
	displayName  = "kubectl active-standby"
	fieldManager = "kubectl-active-standby"
)

// Run runs the command line, and returns the exit code.
func Run(ctx context.Context, streams genericiooptions.IOStreams, args []string) int {
	flags := genericclioptions.NewConfigFlags(true)
	// Nothing is discovered, so that there is nothing to be cached.
	flags.CacheDir = nil
	flags.WrapConfigFn = func(config *rest.Config) *rest.Config {
		// The API server's priority and fairness limits what there is to limit.
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
}

// connection is the cluster and the namespace that the flags and the kubeconfig name.
type connection struct {
	client    kubernetes.Interface
	namespace string
	// explicit: a flag names the namespace, so that what users are told to type has to.
	explicit bool
}

type connector func() (connection, error)

func connectBy(flags *genericclioptions.ConfigFlags) connector {
	return func() (c connection, err error) {
		if c.namespace, c.explicit, err = flags.ToRawKubeConfigLoader().Namespace(); err != nil {
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

// kubectl is a command line for the user to type.
func (c connection) kubectl(format string, args ...any) string {
	line := "kubectl "
	if c.explicit {
		line += "-n " + c.namespace + " "
	}
	return line + fmt.Sprintf(format, args...)
}

func newCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:         "kubectl-active_standby",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: displayName},
		Short:       "Look at the masters of Services, and move them",
		Long: `Look at the masters of Services that are annotated with
qoqo.dev/service-mode: active-standby, and move them.

It reads with your own rights, and asks the controller by what you could also write with
kubectl: an edit of the Lease's holder, an annotation of the Service. The controller decides.`,
		Example: `  # Who is master of what in this namespace
  kubectl active-standby status

  # Make the best standby of the Service web its master
  kubectl active-standby switchover web

  # Why does a pod of the Service web not become master?
  kubectl active-standby check web`,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		// kubectl completes its plugins in its own way; see docs/kubectl.md.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.SetFlagErrorFunc(usage)
	cmd.AddCommand(e.newStatus(), e.newSwitchover(), e.newPause(), e.newResume(), e.newHistory(), e.newCheck(), newVersion(e.IOStreams))
	return cmd
}

// usage says where the command line is explained that is wrong.
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
