package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
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
	c.wantHeartbeats(k, o.Nodes())
	now := time.Now()
	o, d, err := decide(ctx, c, o, c.nodeStates(), now)
	if err != nil {
		return 0, err
	}
	defer func() { c.warn(o) }()
	if len(o.Members) == 0 {
		c.metrics.forget(k)
		c.wantProbes(k, nil)
		c.downs.forget(k)
		return 0, nil
	}
	if d.Problem() {
		o.Problem(string(d.Reason), d.Message())
	}
	c.metrics.election(k, d.Served())
	c.downs.saw(o, d, now)
	if d.Action == election.Refuse {
		c.wantProbes(k, nil)
		return refusedAgain, nil
	}

	decided := time.Now()
	renew, again := c.renewal(o, d, now)
	written, err := c.record(ctx, o, d, renew)
	if err != nil {
		return 0, err
	}
	if written {
		c.announce(ctx, o, d)
		c.metrics.recorded(k, d, decided)
	}
	c.wantProbes(k, targets(o, d.HolderUID))
	unanswered(o, d.HolderUID, c.prober.State(k, d.HolderUID))
	again = soonest(d.Again, again)
	if err = withListed(ctx, o, c); err != nil {
		return again, err
	}
	err = c.route(ctx, o, d, func() {
		if took, transition := c.metrics.routed(k); transition {
			klog.FromContext(ctx).V(2).Info("Routed", "holder", d.Holder, "epoch", d.Epoch, "sinceDecided", took)
		}
	})
	if err != nil {
		return again, err
	}
	return again, c.makeRoom(ctx, o, d)
}

// server answers with what the API server has now.
type server interface {
	lookAtServer(ctx context.Context, k key) (*observation.Observation, error)
	// livePod returns nil if there is no pod of that name.
	livePod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// cordoned says whether the node is unschedulable.
	cordoned(ctx context.Context, node string) (bool, error)
}

// decide applies the rules to what is cached; and where caches that are behind
// could lower the epoch or move the master needlessly, to what the API server
// says, which it then returns as the observation.
func decide(ctx context.Context, live server, o *observation.Observation, nodes observation.NodeStates, now time.Time) (*observation.Observation, election.Decision, error) {
	none := election.Decision{}
	if len(o.Members) == 0 {
		return o, none, nil
	}
	v := o.View(nodes, now)
	if behind(o, v) {
		return decideLive(ctx, live, o.Key, nodes, now)
	}
	d := election.Decide(v)
	// That a pod terminates or has ended is never taken back. All else that
	// speaks against a pod may be what an informer has not yet heard of; and who
	// asks for a pod in the Lease has looked at that one, not at a cache.
	switch {
	case d.Reason == election.NodeUnschedulable && d.Refused == nil:
		d, err := decideWithNodes(ctx, live, o, nodes, now)
		return o, d, err
	case d.Refused != nil, d.Action == election.Switchover, d.Action == election.Stop, d.Next != v.Lease.Next,
		d.Action == election.Failover && (d.Reason == election.HolderGone || d.Reason == election.HolderUnselected):
		return decideLive(ctx, live, o.Key, nodes, now)
	case d.Reason == election.HolderNotReady, d.Reason == election.HolderExcluded, d.Reason == election.NobodyEligible:
		holder := slices.IndexFunc(o.Pods, func(p routing.Pod) bool { return p.UID == v.Lease.HolderUID })
		if holder < 0 {
			return o, d, nil
		}
		name := o.Pods[holder].Name
		pod, err := live.livePod(ctx, o.Key.Namespace, name)
		if err != nil {
			return nil, none, fmt.Errorf("confirming that %s is not Ready: %w", name, err)
		}
		o.Replace(name, pod)
		d = election.Decide(o.View(nodes, now))
		if d.Action == election.Switchover || d.Action == election.Stop {
			return decideLive(ctx, live, o.Key, nodes, now)
		}
		return o, d, nil
	}
	return o, d, nil
}

// behind says whether the caches do not suffice to decide. A Lease that is not
// there is restored from what is written elsewhere, and there may be a foreign
// one, which is not cached. Stamps that are ahead of the Lease come from a
// replica that has seen a later one. About who the Lease's owners are, two replicas
// with different caches would fight. And a Service that goes over from one routing to
// another does so step by step.
func behind(o *observation.Observation, v election.View) bool {
	return !v.Lease.Exists || v.Trace.Epoch > v.Lease.Epoch || !v.Lease.Foreign && (!owned(o) || !timed(o)) ||
		slices.ContainsFunc(o.Members, routing.GoingOver)
}

func decideLive(ctx context.Context, live server, k key, nodes observation.NodeStates, now time.Time) (*observation.Observation, election.Decision, error) {
	o, err := live.lookAtServer(ctx, k)
	if err != nil || len(o.Members) == 0 {
		return o, election.Decision{}, err
	}
	d, err := decideWithNodes(ctx, live, o, nodes, now)
	return o, d, err
}

// decideWithNodes asks for those nodes that seem to be draining.
func decideWithNodes(ctx context.Context, live server, o *observation.Observation, nodes observation.NodeStates, now time.Time) (election.Decision, error) {
	draining := sets.New[string]()
	for node := range o.Nodes() {
		if !nodes.Draining(node) {
			continue
		}
		cordoned, err := live.cordoned(ctx, node)
		if err != nil {
			return election.Decision{}, fmt.Errorf("confirming that the node %s is unschedulable: %w", node, err)
		}
		if cordoned {
			draining.Insert(node)
		}
	}
	return election.Decide(o.View(observation.NodeStates{Draining: draining.Has, Silent: nodes.Silent}, now)), nil
}

func (c *Controller) livePod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return pod, err
}
