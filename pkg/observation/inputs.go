package observation

import (
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// Inputs are everything on which one look at an election depends. They are gathered once and
// never changed. What is read later makes new Inputs.
type Inputs struct {
	// Key names the Lease.
	Key types.NamespacedName
	// Evidence says which of the other fields were read from the API server.
	Evidence election.Evidence
	Now      time.Time

	// Lease is nil if there is none.
	Lease *coordinationv1.Lease
	// Services are annotated Services of the namespace, in any order. All of the election are among
	// them, all that select one of their pods, and all of the elections of those.
	Services []*corev1.Service
	// Pods are pods of the namespace. All that a Service of the election selects, and those of
	// PossibleHolders, are among them.
	Pods []*corev1.Pod
	// Slices are the EndpointSlices of the election's Services, whoever manages them, and those
	// that have a name which the controller needs. The slices of Kubernetes' own controller
	// may be missing unless SeesPublished is true or the evidence is Live, and are up to date
	// only with the evidence Live.
	Slices []*discoveryv1.EndpointSlice
	// DefaultRouting is the controller's: RoutingSelector or RoutingEndpointSlice. If it is empty,
	// it is not known.
	DefaultRouting api.Routing
	// DefaultProbe is the controller's. It is the zero value also if it is not known.
	DefaultProbe api.Probe
	// SeesPublished: the slices of Kubernetes' own controller are among Slices.
	SeesPublished bool

	Nodes Nodes
	// Probes are the results of the controller's own probes, by the pod's UID. A pod that has
	// no result is not among them.
	Probes map[types.UID]probe.State
	// Answers are what the latest good answers to those probes say. A pod that has not answered lately
	// is not among them.
	Answers map[types.UID]probe.Answer
	// Refused are pods that this replica was lately not allowed to label.
	Refused sets.Set[types.UID]
	// Outage is what this replica remembers of a holder that was not eligible.
	Outage Outage
	// Contender is what this replica saw last of another program that holds the Lease as its own.
	Contender lease.Sighting
	// Seen is what this replica has seen so far of an election that fails back.
	Seen Seen
}

// ServiceNames returns the names of the election's Services.
func (in Inputs) ServiceNames() sets.Set[string] {
	names := sets.New[string]()
	for _, s := range in.Services {
		if LeaseKey(s) == in.Key {
			names.Insert(s.Name)
		}
	}
	return names
}

// Routing returns the routing of a Service that has settings of its own. A Service that leaves the
// choice and was routed by selector stays so, lest replicas of different defaults undo each
// other's writes.
func (in Inputs) Routing(s *corev1.Service, own api.Routing) api.Routing {
	_, chosen := s.Annotations[api.AnnotationRouting]
	_, bySelector := s.Spec.Selector[api.LabelPodUID]
	switch {
	case own != api.RoutingSelector || chosen:
		return own
	case in.DefaultRouting == "":
		if Detached(s) {
			return api.RoutingEndpointSlice
		}
		return own
	case bySelector && MarkedService(s):
		return own
	}
	return in.DefaultRouting
}

// probe returns the probe of a Service that has a probe of its own. The controller's applies if
// the Service says nothing, or nothing that is valid.
func (in Inputs) probe(s *corev1.Service, own api.Probe) api.Probe {
	if own == (api.Probe{}) && s.Annotations[api.AnnotationProbe] != api.ProbeNone {
		return in.DefaultProbe
	}
	return own
}

// Nodes is what is known of nodes.
type Nodes struct {
	// Find returns the node of that name, nil if there is none. Find is nil if the nodes cannot
	// be read. Then every node is taken to exist, not to be cordoned, and to have no zone.
	Find func(name string) *corev1.Node
	// DrainTaints are the keys of the taints that count as a cordon.
	DrainTaints sets.Set[string]
	// Silent reports whether the node has stopped giving signs of life; nil if that is not known
	// of any node.
	Silent func(name string) bool
}

// Node is what matters of one node.
type Node struct {
	// Gone: there is no node of that name.
	Gone bool
	// Draining: the node is cordoned, or has a taint that counts as a cordon.
	Draining bool
	// Silent: the node no longer gives signs of life.
	Silent bool
	// Zone is empty if it is not known.
	Zone string
}

// Of returns what is known of the node. An empty name stands for no node, of which nothing is
// known.
func (n Nodes) Of(name string) Node {
	if name == "" {
		return Node{}
	}
	is := Node{Silent: n.Silent != nil && n.Silent(name)}
	if n.Find == nil {
		return is
	}
	node := n.Find(name)
	if node == nil {
		is.Gone = true
		return is
	}
	is.Zone = node.Labels[corev1.LabelTopologyZone]
	is.Draining = node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return n.DrainTaints.Has(t.Key) })
	return is
}

// Outage is a time in which a holder has not been eligible. It is timed by this replica's own
// clock, so that no clocks are compared. The zero value is of no holder.
type Outage struct {
	Holder types.UID
	// Renewed was the Lease's renewTime at the beginning. A replica renews the Lease only if it
	// sees the holder eligible, so a renewal ends the outage.
	Renewed time.Time
	Since   time.Time
}

// since returns when the outage of the Lease's holder began; zero if the Outage is of another
// holder, or has ended. heeded: a renewal tells of the holder.
func (o Outage) since(l *coordinationv1.Lease, heeded bool) time.Time {
	if l == nil || o.Holder != lease.Decode(l).HolderUID || heeded && !o.Renewed.Equal(lease.Renewed(l)) {
		return time.Time{}
	}
	return o.Since
}

// Seen is since when the holder has been master and pods have been Ready, as a replica has seen
// it by its own clock. The stamps in the Lease and on pods come from other clocks. The zero value
// is of a replica that has seen nothing.
type Seen struct {
	// Holder is of the master that HolderUID names, in that Epoch.
	Holder    Sight
	HolderUID types.UID
	Epoch     int32
	// Ready is of the pods, by UID. One that is not Ready has the zero value.
	Ready map[types.UID]Sight
	// Higher is since when the replica has seen, without a break, that the priority of a pod is higher
	// than that of the holder.
	Higher map[types.UID]time.Time
}

// Sight is what a replica has seen of something that lasts.
type Sight struct {
	// From is when the replica saw it first; zero if it has not.
	From time.Time
	// Beginning: the replica saw it begin, or had looked at the election before.
	Beginning bool
}

// since returns since when it lasts: from its beginning if the replica saw that; else from the
// stamp, but not from later than the replica saw it first. A stamp that is missing or in the
// future says nothing.
func (s Sight) since(stamp, now time.Time) time.Time {
	if s.From.IsZero() {
		s.From = now
	}
	if s.Beginning || stamp.IsZero() || stamp.After(s.From) {
		return s.From
	}
	return stamp
}

// See returns what the replica has seen, this look included, and nothing if the election does
// not fail back.
func (o *Observation) See() Seen { return o.seen }

func (o *Observation) see() Seen {
	if o.settings.Failback == nil {
		return Seen{}
	}
	before, held := o.Seen, lease.Decode(o.Lease)
	first := Sight{From: o.Now, Beginning: before.Ready != nil}
	now := Seen{HolderUID: held.HolderUID, Epoch: held.Epoch, Holder: first, Ready: map[types.UID]Sight{}, Higher: map[types.UID]time.Time{}}
	if now.HolderUID == before.HolderUID && now.Epoch == before.Epoch && before.Ready != nil {
		now.Holder = before.Holder
	} else {
		before.Higher = nil
	}
	var holder *corev1.Pod
	if i := slices.IndexFunc(o.Pods, func(p Pod) bool { return p.UID == now.HolderUID }); i >= 0 {
		holder = o.Pods[i].Pod
	}
	for _, p := range o.Pods {
		if holder != nil && o.higher(p.Pod, holder) {
			since, seen := before.Higher[p.UID]
			if !seen {
				since = o.Now
			}
			now.Higher[p.UID] = since
		}
		switch sight := before.Ready[p.UID]; {
		case !Ready(p.Pod):
			now.Ready[p.UID] = Sight{}
		case sight.From.IsZero():
			now.Ready[p.UID] = first
		default:
			now.Ready[p.UID] = sight
		}
	}
	return now
}

// priority returns what the pod's fresh answer claims, or else what its annotation says. The answer is
// nearer to the application, and needs no write.
func (o *Observation) priority(pod *corev1.Pod) (number int64, claimed bool) {
	if number, wrong := api.ParsePriority(o.Answers[pod.UID].Claim); wrong == "" {
		return number, true
	}
	number, _ = api.Priority(pod)
	return number, false
}

// higher reports whether the pod's priority is higher than the holder's. What a pod claims is compared
// only with what a pod says that this replica hears too. Otherwise two replicas that each hear
// another pod would move the master back and forth for ever.
func (o *Observation) higher(pod, holder *corev1.Pod) bool {
	priority, claimed := o.priority(pod)
	holds, holderClaims := o.priority(holder)
	_, heard := o.Answers[pod.UID]
	_, holderHeard := o.Answers[holder.UID]
	return priority > holds && (heard && holderHeard || !claimed && !holderClaims)
}

// holder returns what was seen of the Lease's holder.
func (s Seen) holder(l election.Lease) Sight {
	if s.HolderUID != l.HolderUID || s.Epoch != l.Epoch {
		return Sight{}
	}
	return s.Holder
}
