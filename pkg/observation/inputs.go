package observation

import (
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

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
	// Services are the annotated Services of the namespace, in any order.
	Services []*corev1.Service
	// Pods are pods of the namespace. The holder, all pods that a Service of the election
	// selects, and all that carry a mark of the controller are among them.
	Pods []*corev1.Pod
	// Slices are the EndpointSlices of the election's Services, whoever manages them, and those
	// that have a name which the controller needs. The slices of Kubernetes' own controller
	// may be missing unless the evidence is Live.
	Slices []*discoveryv1.EndpointSlice

	Nodes Nodes
	// Probes are the results of the controller's own probes, by the pod's UID. A pod that has
	// no result is not among them.
	Probes map[types.UID]probe.State
	// Outage is what this replica remembers of a holder that was not eligible.
	Outage Outage
}

// Nodes is what is known of nodes.
type Nodes struct {
	// Find returns the node of that name, nil if there is none. Find is nil if the nodes cannot
	// be read. Then every node is taken to exist, not to be cordoned, and to have no zone.
	Find func(name string) *corev1.Node
	// DrainTaints are the keys of the taints that count as a cordon.
	DrainTaints sets.Set[string]
	// Silent reports whether the node has stopped sending heartbeats; nil if that is not known
	// of any node.
	Silent func(name string) bool
}

// Node is what matters of one node.
type Node struct {
	// Gone: there is no node of that name.
	Gone bool
	// Draining: the node is cordoned, or has a taint that counts as a cordon.
	Draining bool
	// Silent: the node no longer sends heartbeats.
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
// holder, or has ended.
func (o Outage) since(l *coordinationv1.Lease) time.Time {
	if l == nil || o.Holder != lease.Decode(l).HolderUID || !o.Renewed.Equal(lease.Renewed(l)) {
		return time.Time{}
	}
	return o.Since
}
