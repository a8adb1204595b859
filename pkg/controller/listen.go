package controller

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// decided implements listener: it remembers what was seen, and listens to the nodes.
func (c *Controller) decided(o *observation.Observation, d election.Decision) {
	c.listenTo(o.Key, o.NodeNames(), nodeOf(o.Inputs.Pods, lease.Decode(o.Lease).HolderUID))
	if len(o.Members) == 0 {
		c.forget(o.Key)
		return
	}
	c.metrics.show(o.Key, shownOf(o, d))
	c.memory.saw(o, d)
	if d.Action == election.Refuse {
		c.prober.Want(o.Key, nil)
	}
}

// held implements listener: it has the pods probed. It is called once the Lease names the
// holder, because the record of answers of a pod begins anew when it becomes master.
func (c *Controller) held(o *observation.Observation, d election.Decision) {
	c.prober.Want(o.Key, targets(o, d.HolderUID, c.ProbeAnyAddress))
}

// recorded implements listener. Only the replica that has written a decision announces it.
func (c *Controller) recorded(ctx context.Context, o *observation.Observation, d election.Decision, took time.Duration) {
	c.announce(ctx, o, d)
	c.metrics.recorded(o.Key, d, took, o.Observed())
}

// routed implements listener.
func (c *Controller) routed(ctx context.Context, k key, d election.Decision) {
	if took, transition := c.metrics.routed(k); transition {
		klog.FromContext(ctx).V(2).Info("Routed", "holder", logged(d.Holder), "epoch", d.Epoch, "sinceDecided", took)
	}
}

// looked implements listener.
func (c *Controller) looked(ctx context.Context, o *observation.Observation, d election.Decision, err error) {
	for _, m := range o.Members {
		if m.Spec.Selector[api.LabelPodUID] != "" || m.Spec.Selector[api.LabelRouting] != "" {
			c.routedOnce.Add(m.UID, nil, routedFor)
		}
	}
	if again := c.warn(ctx, o, d, err); again > 0 {
		c.queue.AddAfter(o.Key, again)
	}
	if o.SeesPublished && len(o.Members) > 0 && lease.Decode(o.Lease).HolderUID == d.HolderUID && !slices.ContainsFunc(o.Members, func(m observation.Member) bool {
		_, found := o.Unpublished(m, d.HolderUID, d.Served())
		return found
	}) {
		c.metrics.published(o.Key)
	}
}

// demoted implements listener.
func (c *Controller) demoted(ctx context.Context, o *observation.Observation, d election.Decision, pod *corev1.Pod) {
	klog.FromContext(ctx).V(2).Info("Deleted", "pod", pod.Name, "action", d.Action)
	c.announceDeleted(o, d, pod)
}

// released implements listener.
func (c *Controller) released(k key) {
	c.listenTo(k, nil, "")
	c.forget(k)
}

// listenTo listens to the nodes that have candidates of an election. master is the node of the
// Lease's holder; a decision that could not be written makes no master.
func (c *Controller) listenTo(k key, nodes sets.Set[string], master string) {
	if c.heartbeats != nil {
		c.heartbeats.Want(k, nodes)
	}
	if c.nodeProbes != nil {
		c.nodeProbes.Want(k, nodes, master)
	}
}

// nodeOf returns the name of the node that has the pod; empty if it is not known.
func nodeOf(pods []*corev1.Pod, uid types.UID) string {
	for _, p := range pods {
		if p.UID == uid {
			return p.Spec.NodeName
		}
	}
	return ""
}

// forget drops what is remembered of an election that is no longer served.
func (c *Controller) forget(k key) {
	c.metrics.forget(k)
	c.memory.forget(k)
	c.turns.forget(k)
	c.prober.Want(k, nil)
}

// lookAtNode wakes the elections with pods on the node.
func (c *Controller) lookAtNode(node string) {
	for _, pod := range c.pods.all(byNode, node) {
		c.enqueueSelecting(pod)
	}
}

// probed wakes the election: one of its pods answers now, or no longer does.
func (c *Controller) probed(k key) {
	c.queue.Add(k)
}

// targets returns the pods that could be master, are not barred and can be asked, each with how; none
// if the Service asks for no probe.
func targets(o *observation.Observation, holder types.UID, anyAddress bool) (targets []probe.Target) {
	asked := o.Settings().Probe
	if asked == (api.Probe{}) {
		return nil
	}
	for _, p := range o.Pods {
		if p.Unselected || !observation.Active(p.Pod) || !anyAddress && barred(p.Pod) != "" {
			continue
		}
		if asked, why := asked.Of(p.Pod); why == "" {
			targets = append(targets, probe.Target{Pod: p.UID, Address: p.Status.PodIP, Master: p.UID == holder, Probe: asked})
		}
	}
	return targets
}

// barred returns why the pod is not probed: at its address another program answers. It is empty if
// the pod may be probed.
func barred(pod *corev1.Pod) (why string) {
	if pod.Spec.HostNetwork {
		return "it is on the network of its node"
	}
	if why := probe.Barred(pod.Status.PodIP); why != "" {
		return fmt.Sprintf("its address %q %s", logged(pod.Status.PodIP), why)
	}
	return ""
}

// renewal reports whether the Lease must be renewed now, and after how long to check
// again. A Lease is renewed while its holder is eligible.
func renewal(o *observation.Observation, d election.Decision, lag func(key) float64) (due bool, again time.Duration) {
	duration := o.Settings().LeaseDuration
	if duration == 0 || !d.Served() {
		return false, 0
	}
	renewed := lease.Renewed(o.Lease)
	if since, taken := lease.Taken(o.Lease, d); taken {
		// A contender renews it for another than the holder.
		renewed = since
	}
	return lease.Renewal{Duration: duration, Phase: phase(o.Key), Lag: lag(o.Key)}.Due(renewed, o.Now)
}

// lag implements pacer. It differs between replicas and between Leases.
func (c *Controller) lag(k key) float64 { return fraction(maphash.String(c.seed, k.String())) }

// paced implements pacer. Each try to write a Lease that is gone takes an epoch of its own,
// because the one before may have succeeded.
func (c *Controller) paced(k key) bool {
	_, spent := c.spent.Get(k)
	return !spent
}

// spend implements pacer.
func (c *Controller) spend(k key) { c.spent.Add(k, nil, retryMax) }

// phase is the same in every replica. Names often differ only in their last letter, which
// a simpler hash, such as FNV, does not spread.
func phase(k key) float64 {
	sum := sha256.Sum256([]byte(k.String()))
	return fraction(binary.BigEndian.Uint64(sum[:]))
}

func fraction(hash uint64) float64 { return float64(hash) / math.MaxUint64 }

// soonest returns the shorter of two times to wait; 0 is never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
