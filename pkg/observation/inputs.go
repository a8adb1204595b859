package observation

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// Inputs are everything that one look at an election depends on. They are gathered
// once, and never changed: what was read later makes other Inputs.
type Inputs struct {
	// Key names the Lease.
	Key types.NamespacedName
	// Evidence is what of the rest was read from the API server.
	Evidence election.Evidence
	Now      time.Time

	// Lease is nil if there is none.
	Lease *coordinationv1.Lease
	// Services are the annotated Services of the namespace, in any order.
	Services []*corev1.Service
	// Pods are those of the namespace; at the least those that a Service of the election
	// selects, those that carry a mark of the controller, and the holder.
	Pods []*corev1.Pod
	// Slices are EndpointSlices of the election's Services, whoever manages them; and those
	// that keep the controller from a name that it needs. Kubernetes' own need be among
	// them only with the evidence Live.
	Slices []*discoveryv1.EndpointSlice

	Nodes Nodes
	// Probes are what the controller's own probes say of the pods, by UID; a pod of which
	// they say nothing is not among them.
	Probes map[types.UID]probe.State
	// Outage is what the reader remembers of a holder that was not eligible.
	Outage Outage
}

// Nodes tells of a node, by name, what is known of it. A nil function knows of none.
type Nodes struct {
	// Unschedulable reports whether the node is cordoned.
	Unschedulable func(node string) bool
	// Silent reports whether the node has stopped sending heartbeats.
	Silent func(node string) bool
}

func knows(of func(string) bool, node string) bool { return of != nil && of(node) }

// Outage is a holder that has not been eligible, and since when. It is timed where the
// controller runs, so that no clocks are compared. The zero value is of no holder.
type Outage struct {
	Holder types.UID
	// Renewed is the Lease's renewTime then. Whoever renews the Lease has seen the holder
	// healthy, so that an outage ends with it.
	Renewed time.Time
	Since   time.Time
}

// since returns since when the Lease's holder has not been eligible; zero if that is
// seen only now.
func (o Outage) since(l *coordinationv1.Lease) time.Time {
	if l == nil || o.Holder != lease.Decode(l).HolderUID || !o.Renewed.Equal(lease.Renewed(l)) {
		return time.Time{}
	}
	return o.Since
}
