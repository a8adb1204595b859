// Package scale measures on a local control plane what many elections cost the controller:
// how long they take, how much memory and CPU a replica needs, what it asks the API server
// for. It also measures how a victim's failover fares beside neighbours who misbehave.
//
// What plays the nodes of the local control plane, and Kubernetes' own EndpointSlice
// controller, write some twenty objects in a second. So the instrument plays the nodes and
// the pods of its elections itself. With routing endpointslice the Services have no
// selectors, so that Kubernetes' controller has nothing to do. With routing selector its
// rate is a part of what is measured.
package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// Options say what to measure.
type Options struct {
	Loads    []results.Load
	Routings []string
	// Parts are measured in their own order. Those that are left out are not measured, though
	// the elections opt in without OptIn too.
	OptIn, Rest, Restart bool
	// Failures are numbers of masters that fail at once. Larger ones than the load are left out.
	Failures []int
	// Attacks are the names of the attacks beside which a victim is measured.
	Attacks []string
	// Runs is how often each load is measured, each time on a new control plane.
	Runs int
	// RestTime is how long the part rest lasts, and Patience how long the instrument waits
	// for elections to be served.
	RestTime, Patience time.Duration
	// Progress receives a line about what is under way.
	Progress io.Writer
	// Measured is called with the results of each load once it is complete, and with those of
	// each attack.
	Measured func(results.Header, []results.Result, []results.Neighbour) error
}

const (
	replicas   = 2
	candidates = 3 // of each election
	// writers is how many requests of the instrument are under way at once.
	writers = 16
	// every is how often progress is reported.
	every = 5 * time.Second
)

func (o Options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// Run measures. It must run inside the e2e module.
func Run(ctx context.Context, o Options) error {
	for _, load := range o.Loads {
		for _, routing := range o.Routings {
			if err := o.load(ctx, load, routing); err != nil {
				return fmt.Errorf("%s, %s: %w", load, routing, err)
			}
		}
	}
	return o.neighbours(ctx)
}

func (o Options) load(ctx context.Context, load results.Load, routing string) error {
	var parts []string
	runs := map[string][]results.Run{}
	var header results.Header
	for n := range o.Runs {
		err := on(ctx, o, "", func(ctx context.Context, s *stage) error {
			header = s.header
			return s.measure(ctx, load, routing, func(part string, r results.Run) {
				if runs[part] == nil {
					parts = append(parts, part)
				}
				runs[part] = append(runs[part], r)
				o.say("%s, %s, run %d of %d, %s: %s", load, routing, n+1, o.Runs, part, r)
			})
		})
		if err != nil {
			return err
		}
	}
	var measured []results.Result
	for _, part := range parts {
		measured = append(measured, results.Result{Load: load, Routing: routing, Part: part, Runs: runs[part]})
	}
	return o.Measured(header, measured, nil)
}

// stage is a control plane on which the replicas run.
type stage struct {
	Options
	client       kubernetes.Interface
	installation *install.Installation
	header       results.Header
	replicas     [replicas]*install.Replica
	server       string // that the replicas use, or empty
	audit        *audit
	sights       *sights
}

// on runs f on a new control plane, with replicas that use the server that proxy starts, if
// it is not nil.
func on(ctx context.Context, o Options, name string, f func(context.Context, *stage) error) (err error) {
	plane, err := local.Start(ctx, local.Options{Nodes: 1, Tireless: true, Progress: o.Progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &stage{Options: o}
	// Smaller than JSON, because the instrument shares the CPUs with what it measures.
	config := rest.CopyConfig(plane.Admin.Config)
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	version, err := s.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	s.header = results.Header{Kubernetes: version.GitVersion, CPUs: runtime.NumCPU(), Replicas: replicas, Candidates: candidates}
	if s.installation, err = install.On(ctx, plane); err != nil {
		return err
	}
	if s.audit, err = follow(ctx, plane.AuditLog, cancel); err != nil {
		return err
	}
	if s.sights, err = watch(ctx, s.client, cancel); err != nil {
		return err
	}
	if name != "" {
		proxy, err := newProxy(s.installation.User.Config, name)
		if err != nil {
			return err
		}
		defer proxy.Close()
		s.server = proxy.URL
	}
	defer s.stop()
	for i := range s.replicas {
		if err := s.start(ctx, i); err != nil {
			return err
		}
	}
	if err := f(ctx, s); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// start starts a replica.
func (s *stage) start(ctx context.Context, i int) (err error) {
	s.replicas[i], err = s.installation.Start(ctx, fmt.Sprintf("replica-%d", i+1), s.server)
	return err
}

func (s *stage) stop() {
	for _, r := range s.replicas {
		if r != nil {
			r.Kill()
		}
	}
}
