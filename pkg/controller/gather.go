package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

const (
	// zoneFor is how long a node's zone is remembered. It does not change while the node
	// exists, and is needed when an endpoint on the node is made.
	zoneFor = time.Hour
	// noZoneFor is how long the lack of a zone is remembered. As long as an endpoint has no
	// zone, each reconciliation needs it: a cloud's controller may yet label the node.
	noZoneFor = 24 * time.Hour
	// zonesMax is how many nodes' zones are remembered. Forgetting one costs a request.
	zonesMax = 4096
)

// gather implements reader.
func (c *Controller) gather(ctx context.Context, k key, evidence election.Evidence) (in observation.Inputs, err error) {
	if in, err = c.gatherCached(ctx, k); err != nil {
		return in, err
	}
	switch evidence {
	case election.PodRead:
		if read, err := c.readHolder(ctx, &in); err != nil || !read {
			return in, err
		}
	case election.NodesRead:
		err = c.readNodes(ctx, &in)
	case election.Live:
		cached := in
		if in, err = c.live.Election(ctx, k); err != nil {
			return in, err
		}
		in.Outage, in.Probes, in.Refused = cached.Outage, cached.Probes, cached.Refused
		in.Slices = append(in.Slices, c.takenNames(in.Services)...)
		err = c.readNodes(ctx, &in)
	}
	// Reading takes time, and what is written carries this time.
	in.Evidence, in.Now = evidence, time.Now()
	return in, err
}

// gatherCached gathers what the caches have.
func (c *Controller) gatherCached(ctx context.Context, k key) (observation.Inputs, error) {
	in := observation.Inputs{Key: k}
	in.Lease, _ = c.leases.in(k.Namespace).get(k)
	of := c.services.in(k.Namespace).by(byLease, k.String())
	if len(of) == 0 {
		return in, nil
	}
	pods, err := c.pods.in(ctx, k.Namespace)
	if err != nil {
		return in, fmt.Errorf("watching the pods: %w", err)
	}
	in.Services, in.Pods = c.annotatedServices(k.Namespace), pods.by(cache.NamespaceIndex, k.Namespace)
	for _, s := range of {
		in.Slices = append(in.Slices, c.slices.in(s.Namespace).by(byService, key{Namespace: s.Namespace, Name: s.Name}.String())...)
	}
	in.Slices = append(in.Slices, c.takenNames(of)...)
	in.Nodes = c.nodesKnown()
	in.Outage = c.outages.recall(k)
	in.Probes = c.prober.States(k)
	in.Refused = c.refusals.known()
	return in, nil
}

// readHolder replaces the holder's pod by the one that the API server has. It reports
// whether it could ask: the cache may no longer have the pod, and the Lease no name of one.
func (c *Controller) readHolder(ctx context.Context, in *observation.Inputs) (read bool, err error) {
	holder := lease.Decode(in.Lease)
	name := holder.Holder
	if i := slices.IndexFunc(in.Pods, func(p *corev1.Pod) bool { return p.UID == holder.HolderUID }); i >= 0 {
		name = in.Pods[i].Name
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return false, nil
	}
	pod, err := c.live.Pod(ctx, in.Key.Namespace, name)
	if err != nil {
		return false, err
	}
	in.Pods = slices.DeleteFunc(in.Pods, func(p *corev1.Pod) bool { return p.Name == name })
	if pod != nil {
		in.Pods = append(in.Pods, pod)
	}
	return true, nil
}

// readNodes reads those of the election's nodes from the API server that are
// unschedulable by the cache.
func (c *Controller) readNodes(ctx context.Context, in *observation.Inputs) error {
	in.Nodes = c.nodesKnown()
	seeming := sets.New[string]()
	for node := range observation.Look(*in).NodeNames() {
		if c.unschedulable(node) {
			seeming.Insert(node)
		}
	}
	cordoned, err := c.live.Unschedulable(ctx, seeming)
	if err != nil {
		return fmt.Errorf("confirming that nodes are unschedulable: %w", err)
	}
	in.Nodes.Unschedulable = cordoned.Has
	return nil
}

// nodesKnown is what the watches show of nodes.
func (c *Controller) nodesKnown() observation.Nodes {
	known := observation.Nodes{Unschedulable: c.unschedulable}
	if c.heartbeats != nil {
		known.Silent = c.heartbeats.Dead
	}
	return known
}

func (c *Controller) unschedulable(node string) bool {
	n, found := c.nodes.get(key{Name: node})
	return found && n.Spec.Unschedulable
}

// takenNames returns cached slices of other Services, or of none, that have a name which
// these Services need.
func (c *Controller) takenNames(services []*corev1.Service) (taken []*discoveryv1.EndpointSlice) {
	for _, service := range services {
		for _, name := range observation.SliceNames(service.Name) {
			s, found := c.slices.in(service.Namespace).get(key{Namespace: service.Namespace, Name: name})
			if found && observation.ServiceOf(s).Name != service.Name {
				taken = append(taken, s)
			}
		}
	}
	return taken
}

// zone implements reader.
func (c *Controller) zone(ctx context.Context, node string) (string, error) {
	if zone, known := c.zones.Get(node); known {
		return zone.(string), nil
	}
	n, err := c.live.Node(ctx, node)
	if err != nil {
		return "", err
	}
	zone, remembered := "", noZoneFor
	if n != nil && n.Labels[corev1.LabelTopologyZone] != "" {
		zone, remembered = n.Labels[corev1.LabelTopologyZone], zoneFor
	}
	c.zones.Add(node, zone, remembered)
	return zone, nil
}

// leftovers implements reader.
func (c *Controller) leftovers(ctx context.Context, namespace string) (routing.Leftovers, error) {
	left, err := c.live.Leftovers(ctx, namespace)
	if err == nil && len(left.Annotated()) == 0 {
		c.pods.forget(namespace, func() bool { return len(c.annotatedServices(namespace)) == 0 })
	}
	return left, err
}
