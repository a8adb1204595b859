// Package failover measures on a kind cluster what clients lose when a master fails
// or moves. It runs each scenario again and again, with each of the controller's
// routings, with and without the controller's own probes, and with a plain Service.
// The runs take turns, so that other load on the machine affects all alike. Package
// results says what the figures mean.
package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// Options say what to measure.
type Options struct {
	Runs      int        // of each scenario and variant
	Scenarios []Scenario // in this order
	Variants  []results.Variant
	// KubeProxies are configurations of kube-proxy that take turns. Without any, the
	// cluster's own is left as it is.
	KubeProxies []results.KubeProxy
	Target      string // the image of the pods and the clients, which the nodes have
	Progress    io.Writer
	// Measured is called with the results of each scenario once it is complete.
	Measured func([]results.Result) error
}

const (
	interval = 15 * time.Millisecond // between two new connections of a client
	timeout  = time.Second           // after which a client's request is lost
	replicas = 3                     // of each workload, one on each worker
)

// readiness is the readiness probe of the measured pods: the fastest that the kubelet
// can do.
var readiness = results.Readiness{PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 1}

// probe is the controller's own probe, in the variants that have one: the same path
// as the readiness probe's, at an interval that suits a user who wants a fast failover.
var probe = results.Probe{URL: "http://:8080/ready", IntervalMS: 200, TimeoutMS: 200, Failures: 2}

// client is how the clients send requests.
var client = results.Client{
	IntervalMS: float64(interval) / float64(time.Millisecond),
	TimeoutMS:  float64(timeout) / float64(time.Millisecond),
}

// Validate returns an error if these options would measure nothing.
func (o Options) Validate() error {
	for _, s := range o.Scenarios {
		if len(s.variants(o.Variants)) > 0 {
			return nil
		}
	}
	return errors.New("there is nothing to measure: the plain Service is measured only where something fails")
}

// Run measures. It leaves what it has created in the cluster, for inspection.
func Run(ctx context.Context, cluster *kind.Cluster, o Options) error {
	if len(cluster.Workers) < replicas {
		return fmt.Errorf("the cluster has %d workers, but the measurement needs %d", len(cluster.Workers), replicas)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &measurement{Cluster: cluster, image: o.Target}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	progress := newProgress(o)
	for _, s := range o.Scenarios {
		if err := m.scenario(ctx, s, o, progress); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (m *measurement) scenario(ctx context.Context, s Scenario, o Options, progress *progress) error {
	variants := s.variants(o.Variants)
	if len(variants) == 0 {
		return nil
	}
	if err := m.apply(ctx, s, variants); err != nil {
		return err
	}
	rounds := s.rounds(variants)
	outcomes := map[measured][]results.Outcome{}
	for n := range o.Runs {
		// Change the order, so that no variant always follows the same one.
		slices.Reverse(rounds)
		for i := range max(1, len(o.KubeProxies)) {
			var with results.KubeProxy
			if len(o.KubeProxies) > 0 {
				with = o.KubeProxies[i]
				if err := setProxy(ctx, m.Cluster, with); err != nil {
					return err
				}
				progress.say("%s, run %d of %d, with kube-proxy %s", s.Name, n+1, o.Runs, with)
			}
			for _, round := range rounds {
				begun := time.Now()
				observed, err := m.run(ctx, s, round)
				if err != nil {
					return fmt.Errorf("run %d of %v: %w", n+1, round, err)
				}
				for _, observation := range observed {
					outcome, err := results.Analyse(observation)
					if err != nil {
						return fmt.Errorf("run %d of %s: %w", n+1, observation.Variant, err)
					}
					of := measured{with, observation.Variant}
					outcomes[of] = append(outcomes[of], outcome)
					progress.outcome(s, n+1, outcome)
				}
				progress.done(s, round, time.Since(begun))
			}
		}
	}
	if len(o.KubeProxies) == 0 {
		return o.Measured(summarise(s, variants, outcomes, results.KubeProxy{}))
	}
	var all []results.Result
	for _, with := range o.KubeProxies {
		for _, r := range summarise(s, variants, outcomes, with) {
			r.KubeProxy = &with
			all = append(all, r)
		}
	}
	return o.Measured(all)
}

// measured is a variant that is measured with a configuration of kube-proxy. It is the
// zero value if that is the cluster's own.
type measured struct {
	with    results.KubeProxy
	variant results.Variant
}

func summarise(s Scenario, variants []results.Variant, outcomes map[measured][]results.Outcome, with results.KubeProxy) (all []results.Result) {
	for _, v := range variants {
		all = append(all, results.Summarise(s.Name, v, outcomes[measured{with, v}]))
	}
	return all
}
