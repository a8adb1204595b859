// The program active-standby-controller gives all traffic of an annotated
// Service to one of its pods.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"

	// The JSON format of logs.
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/controller"
	"qoqo.dev/active-standby-controller/pkg/event"
	"qoqo.dev/active-standby-controller/pkg/server"
)

func main() {
	// Signals are handled until the process ends, so there is nothing to stop.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Run(newCommand(ctx)))
}

func newCommand(ctx context.Context) *cobra.Command {
	o := newOptions()
	cmd := &cobra.Command{
		Use: api.ManagedBy,
		Long: `Gives all traffic of a Service to one of the pods that it selects, the master,
and moves the traffic to another pod when the master fails. Annotate a Service with
` + api.AnnotationServiceMode + `: ` + api.ModeActiveStandby + ` and look at its Lease, which names the master.

Several replicas can run at the same time. They need no leader.`,
		Version: version.Get().GitVersion,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := logsapi.ValidateAndApply(o.logs, nil); err != nil {
				return err
			}
			if err := o.validate(); err != nil {
				return err
			}
			return run(ctx, o)
		},
	}
	sets := o.flags()
	for _, set := range sets.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	columns, _, _ := term.TerminalSize(cmd.OutOrStdout())
	cliflag.SetUsageAndHelpFunc(cmd, sets, columns)
	return cmd
}

// run runs the controller until ctx is done. It stops what it has started in reverse
// order.
func run(ctx context.Context, o *options) error {
	logger := klog.FromContext(ctx)
	config, err := o.restConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	logger.Info("Starting", "version", version.Get().GitVersion, "server", config.Host, "namespaces", cmp.Or(strings.Join(o.namespaces, ","), "all"))

	instance, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the host's name: %w", err)
	}
	recorder := event.New(client, api.Domain+"/"+api.ManagedBy, instance)
	c, err := controller.New(client, recorder, o.namespaces, o.nodeHeartbeatTimeout, o.drainTaints)
	if err != nil {
		return err
	}
	c.ProbeAnyAddress = o.probeAnyAddress
	if c.DefaultProbe, err = o.probe(); err != nil {
		return err
	}
	c.DefaultRouting = api.Routing(o.defaultRouting)
	c.ElectionMetrics = o.electionMetrics
	if o.nodeProbeTimeout > 0 {
		c.ProbeNodes(o.nodeProbeTimeout)
	}
	legacyregistry.MustRegister(c.Metrics()...)
	legacyregistry.CustomMustRegister(c.State())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, err := serve(ctx, cancel, []endpoint{
		{"--http-endpoint", o.httpEndpoint, server.Handler(c.Alive, c.Ready)},
		{"--health-endpoint", o.healthEndpoint, server.Health(c.Alive, c.Ready)},
	})
	if err != nil {
		return err
	}
	var recording sync.WaitGroup
	defer recording.Wait()
	// What the controller does last is recorded too.
	done, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	recording.Go(func() { recorder.Run(done) })
	err = c.Run(ctx)
	cancel()
	return errors.Join(err, serving())
}

// endpoint is what a flag says to serve, which is nothing without an address.
type endpoint struct {
	flag, address string
	handler       http.Handler
}

// serve serves until ctx is done, and calls ended if it has to stop earlier. The function that it
// returns waits, and says why.
func serve(ctx context.Context, ended context.CancelFunc, endpoints []endpoint) (wait func() error, err error) {
	var serving sync.WaitGroup
	failed := make([]error, len(endpoints))
	for i, e := range endpoints {
		if e.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.address)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", e.flag, e.address, err)
		}
		klog.FromContext(ctx).Info("Serving", "flag", e.flag, "address", listener.Addr().String())
		serving.Go(func() {
			defer ended()
			failed[i] = server.Serve(ctx, listener, e.handler)
		})
	}
	return func() error {
		serving.Wait()
		return errors.Join(failed...)
	}, nil
}
