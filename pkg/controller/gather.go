package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// gather implements reader.
func (c *Controller) gather(ctx context.Context, k key, evidence election.Evidence) (in observation.Inputs, err error) {
	if in, err = c.gatherCached(k); err != nil {
		return in, err
	}
	switch evidence {
	case election.PodRead:
		read, err := c.readHolder(ctx, &in)
		if err == nil && read {
			c.addOverlapping(&in)
			err = c.readNodes(ctx, &in, func(n observation.Node) bool { return n.Gone })
		}
		if err != nil {
			return in, err
		}
		if !read {
			evidence = election.Cached
		}
	case election.Live:
		cached := in
		if in, err = c.live.Begin(ctx, cached, c.creating(cached)); err != nil {
			return in, err
		}
		c.memory.recall(&in)
		in.Probes, in.Refused = cached.Probes, cached.Refused
		in.Slices = append(in.Slices, c.takenNames(in.Services)...)
		if err = c.readNodes(ctx, &in, func(n observation.Node) bool { return n.Gone || n.Draining }); err != nil {
			return in, err
		}
	}
	// Reading takes time, and what is written carries this time.
	in.Evidence, in.Now = evidence, time.Now()
	return in, nil
}

// creating returns what creates the election's Lease. Whether it can be created is told by record.
func (c *Controller) creating(in observation.Inputs) func(context.Context) (*coordinationv1.Lease, error) {
	if _, just := c.began.Get(in.Key); just {
		return nil
	}
	// Most elections have a Lease, so that this is never called.
	return func(ctx context.Context) (*coordinationv1.Lease, error) {
		o := observation.Look(in)
		if len(o.Members) == 0 {
			return nil, nil
		}
		c.began.Add(in.Key, nil, retryMax)
		l, err := c.writeLease(ctx, lease.Begin(o.Terms()))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, nil
		}
		return l, err
	}
}

// gatherCached gathers what the caches have.
func (c *Controller) gatherCached(k key) (observation.Inputs, error) {
	in := observation.Inputs{Key: k, DefaultRouting: c.DefaultRouting, DefaultProbe: c.DefaultProbe}
	in.Lease, _ = c.leases.in(k.Namespace).get(k)
	of := c.services.in(k.Namespace).by(byLease, k.String())
	if len(of) == 0 {
		return in, nil
	}
	pods, err := c.pods.in(k.Namespace)
	if err != nil {
		return in, err
	}
	in.Services = of
	published, err := c.published.in(k.Namespace)
	seen := err == nil
	in.SeesPublished = seen
	for _, s := range of {
		name := key{Namespace: s.Namespace, Name: s.Name}.String()
		in.Slices = append(in.Slices, c.slices.in(s.Namespace).by(byService, name)...)
		if seen {
			in.Slices = append(in.Slices, published.by(byService, name)...)
		}
	}
	c.addPods(&in, pods)
	c.addOverlapping(&in)
	in.Slices = append(in.Slices, c.takenNames(of)...)
	in.Nodes = c.nodesKnown(in)
	c.memory.recall(&in)
	in.Probes, in.Answers = c.prober.States(k), c.prober.Answers(k)
	in.Refused = c.refusals.known()
	return in, nil
}

// addPods adds the pods that the election's Services select, and those that may be its holder, or
// say that they were.
func (c *Controller) addPods(in *observation.Inputs, pods store[*corev1.Pod]) {
	for _, s := range in.Services {
		in.Pods = append(in.Pods, selected(pods, s)...)
	}
	for uid := range in.PossibleHolders() {
		in.Pods = append(in.Pods, pods.by(byUID, inNamespace(in.Key.Namespace, string(uid)))...)
	}
	in.Pods = append(in.Pods, pods.by(byMasterOf, in.Key.String())...)
	slices.SortFunc(in.Pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.UID, b.UID) })
	in.Pods = slices.CompactFunc(in.Pods, func(a, b *corev1.Pod) bool { return a.UID == b.UID })
}

// addOverlapping adds the Services that select one of the pods too, and those of their elections.
func (c *Controller) addOverlapping(in *observation.Inputs) {
	elections := sets.New[key]()
	for _, s := range in.Services {
		elections.Insert(observation.LeaseKey(s))
	}
	for _, pod := range in.Pods {
		for _, s := range c.selecting(pod.Namespace, pod.Labels) {
			if k := observation.LeaseKey(s); !elections.Has(k) {
				elections.Insert(k)
				in.Services = append(in.Services, c.services.in(k.Namespace).by(byLease, k.String())...)
			}
		}
	}
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

// readNodes reads those of the election's nodes from the API server that are doubtful by the
// cache. If nodes can no longer be read, nothing is known of them.
func (c *Controller) readNodes(ctx context.Context, in *observation.Inputs, doubtful func(observation.Node) bool) error {
	in.Nodes = c.nodesKnown(*in)
	names := sets.New[string]()
	for name := range observation.Look(*in).NodeNames() {
		if doubtful(in.Nodes.Of(name)) {
			names.Insert(name)
		}
	}
	read, err := c.live.Nodes(ctx, names)
	if apierrors.IsForbidden(err) {
		in.Nodes.Find = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("confirming the state of nodes: %w", err)
	}
	if cached := in.Nodes.Find; len(read) > 0 {
		in.Nodes.Find = func(name string) *corev1.Node {
			if node, found := read[name]; found {
				return node
			}
			return cached(name)
		}
	}
	return nil
}

// nodesKnown is what the watches and the probes of nodes show to an election. A cache that is not
// complete would show that nodes do not exist.
func (c *Controller) nodesKnown(in observation.Inputs) observation.Nodes {
	master := nodeOf(in.Pods, lease.Decode(in.Lease).HolderUID)
	known := observation.Nodes{DrainTaints: c.drainTaints, Silent: func(name string) bool {
		return c.heartbeats != nil && c.heartbeats.Dead(name) || c.nodeProbes != nil && c.nodeProbes.Silent(in.Key, master, name)
	}}
	if c.nodes.informer.HasSynced() && !c.nodesWatched.forbidden.Load() {
		known.Find = func(name string) *corev1.Node {
			node, _ := c.nodes.get(key{Name: name})
			return node
		}
	}
	return known
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

// awaitsName reports whether the pod is a master on which its election has yet to name the Lease,
// because no Service selects it any longer. Until then the pod's marks are the election's.
func (c *Controller) awaitsName(pod *corev1.Pod) bool {
	return observation.Held(pod) >= 0 && observation.MasterOf(pod) == "" &&
		slices.ContainsFunc(c.leases.in(pod.Namespace).by(byHolder, string(pod.UID)), func(l *coordinationv1.Lease) bool {
			return c.serves(key{Namespace: l.Namespace, Name: l.Name})
		})
}

// leftovers implements reader.
func (c *Controller) leftovers(ctx context.Context, namespace string) (routing.Leftovers, error) {
	left, err := c.live.Leftovers(ctx, namespace)
	left.Pods = slices.DeleteFunc(slices.Clone(left.Pods), c.awaitsName)
	if err == nil && len(left.Annotated()) == 0 {
		needless := func() bool { return len(c.annotatedServices(namespace)) == 0 }
		c.pods.forget(namespace, needless)
		c.published.forget(namespace, needless)
	}
	return left, err
}
