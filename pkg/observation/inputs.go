package observation

import (
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
	// Refused are pods that this replica was lately not allowed to label.
	Refused sets.Set[types.UID]
	// Outage is what this replica remembers of a holder that was not eligible.
	Outage Outage
}

// Nodes are functions of a node's name. A nil function returns false for every node.
type Nodes struct {
	// Unschedulable reports whether the node is cordoned.
	Unschedulable func(node string) bool
	// Silent reports whether the node has stopped sending heartbeats.
	Silent func(node string) bool
}

// knows calls the function, which may be nil.
func knows(of func(string) bool, node string) bool { return of != nil && of(node) }

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
