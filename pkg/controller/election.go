package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/election"
)

// refusedAgain is when an election that was refused for a foreign Lease is
// looked at again, as such Leases are not watched.
const refusedAgain = 30 * time.Second

// syncElection decides, records the decision in the Lease and derives the rest
// from it.
func (c *Controller) syncElection(ctx context.Context, k key) (again time.Duration, err error) {
	o, err := c.lookAtCaches(ctx, k)
	if err != nil {
		return 0, err
	}
	o, d, err := decide(ctx, c, o, c.draining)
	if err != nil {
		return 0, err
	}
	defer func() { c.warn(o) }()
	if len(o.members) == 0 {
		return 0, nil
	}
	if o.orphans {
		c.queue.Add(key{Namespace: k.Namespace})
	}
	if d.Action == election.Refuse || d.Reason == election.NobodyEligible {
		o.problem(string(d.Reason), d.Message())
	}
	c.metrics.election(k, d.Action != election.Refuse && d.Action != election.Hold || d.Reason == election.HolderEligible)
	if d.Action == election.Refuse {
		return refusedAgain, nil
	}

	decided := time.Now()
	written, err := c.record(ctx, o, d)
	if err != nil {
		return 0, err
	}
	if written {
		c.announce(ctx, o, d)
		c.metrics.transition(d, phaseLease, time.Since(decided))
	}
	return 0, c.route(ctx, o, d, func() {
		if written {
			c.metrics.transition(d, phaseRouted, time.Since(decided))
			klog.FromContext(ctx).V(2).Info("Routed", "holder", d.Holder, "epoch", d.Epoch, "sinceDecided", time.Since(decided))
		}
	})
}

// server answers with what the API server has now.
type server interface {
	lookAtServer(ctx context.Context, k key) (*observation, error)
	// livePod returns nil if there is no pod of that name.
	livePod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
}

// decide applies the rules to what is cached; and where caches that are behind
// could lower the epoch or move the master needlessly, to what the API server
// says, which it then returns as the observation.
func decide(ctx context.Context, live server, o *observation, draining func(node string) bool) (*observation, election.Decision, error) {
	none := election.Decision{}
	if len(o.members) == 0 {
		return o, none, nil
	}
	// A Lease that is not there is restored from what is written elsewhere, and
	// there may be a foreign one, which is not cached. Stamps that are ahead of
	// the Lease come from a replica that has seen a later one.
	if v := o.view(draining); !v.Lease.Exists || v.Trace.Epoch > v.Lease.Epoch {
		var err error
		if o, err = live.lookAtServer(ctx, o.key); err != nil || len(o.members) == 0 {
			return o, none, err
		}
	}
	d := election.Decide(o.view(draining))
	doubted := doubtful(d)
	for _, name := range doubted {
		pod, err := live.livePod(ctx, o.key.Namespace, name)
		if err != nil {
			return nil, none, fmt.Errorf("confirming that %s is not eligible: %w", name, err)
		}
		o.replace(name, pod)
	}
	if len(doubted) > 0 {
		d = election.Decide(o.view(draining))
	}
	return o, d, nil
}

// doubtful names the pods on whose failure a decision rests that may be what an
// informer has not yet heard of: that a pod is not Ready, or not there. That it
// terminates or has ended is never taken back.
func doubtful(d election.Decision) (names []string) {
	doubt := func(name string, why election.Reason) {
		if name != "" && (why == election.HolderNotReady || why == election.HolderGone) {
			names = append(names, name)
		}
	}
	if d.Action == election.Failover {
		doubt(d.Previous, d.Reason)
	}
	if d.Refused != nil {
		doubt(d.Refused.Holder, d.Refused.Why)
	}
	return names
}

func (c *Controller) livePod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return pod, err
}
