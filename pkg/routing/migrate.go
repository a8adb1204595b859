package routing

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A Service migrates to the controller's own EndpointSlices, or from them, in steps.
// Kubernetes' own controller follows the Service's selector at any later time. Therefore
// no step is taken before that controller was seen to have followed the last one:
//
//	state            the Service    Kubernetes lists    own slices list
//	byKubernetes     is published   the holder          (there are none)
//	  reserving      is published   another             no pod
//	  joining        is published   the holder          the holder, transitional
//	  detaching      is detached    the holder          the holder, transitional
//	byController     is detached    no pod              the holder
//	  leaving        is detached    no pod              the holder, transitional
//	  returning      is published   no pod              the holder, transitional
//	byKubernetes     is published   the holder          (there are none)
//
// What Kubernetes' controller lists does not tell that it has followed: it may list the
// holder of an epoch before the last. Therefore the Service is labelled with the epoch as
// long as it is published and own slices exist, or must. That controller copies the label
// to its slices. The label also tells a replica that has not heard of own slices that there
// are some.
//
// Own slices that are transitional say so in an annotation, as long as Kubernetes' controller may
// have something to list. All replicas can rely on its absence: a replica that has not
// heard of the Service's changes cannot write another pod into slices that list one beside
// Kubernetes'. Once the Service may be published, own slices are not written for another
// pod, but emptied or removed.
//
// A Service that opts in has all its pods listed until Kubernetes' controller has
// followed. The migration does not wait for that.

// migration is the state in which a member is on its way between two publishers.
type migration int

const (
	// byKubernetes: Kubernetes' controller alone publishes the Service.
	byKubernetes migration = iota
	// reserving: Kubernetes' controller has yet to list the holder alone. Own slices list
	// no pod: once they exist, a replica that has looked earlier cannot make one for
	// another pod.
	reserving
	// joining: own slices may list the holder beside Kubernetes' controller.
	joining
	// detaching: the Service asks Kubernetes' controller to list no pod, and that controller
	// may not have followed.
	detaching
	// byController: the controller's own slices alone publish the Service.
	byController
	// leaving: the Service must be published again, once own slices say that they are transitional.
	leaving
	// returning: Kubernetes' controller may list the holder beside own slices. They go once
	// it does.
	returning
)

// stateOf classifies the member by what it asks for, and by what was read of it.
func stateOf(m member) migration {
	detached := observation.Detached(m.Service)
	switch {
	case m.wantsSlices() && detached && !m.Migrating():
		return byController
	case m.wantsSlices() && detached:
		return detaching
	case m.wantsSlices() && m.inForce == api.RoutingEndpointSlice:
		return joining
	case m.wantsSlices():
		return reserving
	case detached:
		return leaving
	case len(m.Slices) > 0:
		return returning
	default:
		return byKubernetes
	}
}

// member is a Service, and the routing by which its traffic follows now.
type member struct {
	observation.Member
	inForce api.Routing
}

// newMember finds out, from what was just read, which routing is in force: that of the
// Service's settings, unless Kubernetes' controller has yet to be seen to follow the
// routing that the Service leaves. It stays in force for a whole Plan, because a Plan does
// not see that controller follow what is written meanwhile.
func newMember(a Assignment, m observation.Member, holder *observation.Pod) member {
	inForce := m.Settings.Routing
	detached := observation.Detached(m.Service)
	_, bySelector := m.Spec.Selector[api.LabelPodUID]
	switch wanted := m.Settings.Routing; {
	case wanted != api.RoutingEndpointSlice && detached && len(m.Listed) > 0:
		inForce = api.RoutingEndpointSlice
	case wanted == api.RoutingLabel && (detached || bySelector && len(m.Slices) > 0):
		// Kubernetes' controller may not know yet that a former master is no longer labelled active, but it cannot
		// take that for the holder. Once it lists the holder it knows.
		inForce = api.RoutingSelector
	case wanted != api.RoutingEndpointSlice, detached, listsHolder(a, m, holder):
	case bySelector && (observation.MarkedService(m.Service) || m.Spec.Selector[api.LabelPodUID] != api.NoPod):
		// A Service that was closed at its birth has never been routed.
		inForce = api.RoutingSelector
	case byLabel(m):
		inForce = api.RoutingLabel
	}
	return member{m, inForce}
}

// wantsSlices reports whether the Service asks for routing by EndpointSlice.
func (m member) wantsSlices() bool { return m.Settings.Routing == api.RoutingEndpointSlice }

// open reports whether the member's selector stands for all its pods.
func (m member) open() bool {
	_, bySelector := m.Spec.Selector[api.LabelPodUID]
	return !observation.Detached(m.Service) && !bySelector && !byLabel(m.Member)
}

// transitional reports whether one of the member's own slices is transitional.
func (m member) transitional() bool { return slices.ContainsFunc(m.Slices, observation.Transitional) }

// epoch returns the highest epoch that the Service or its own slices are stamped with.
func (m member) epoch() int32 {
	highest := observation.Stamp(m)
	for _, s := range m.Slices {
		highest = max(highest, observation.Stamp(s))
	}
	return highest
}

// byLabel reports whether the Service selects the designation, by which it has one master.
func byLabel(m observation.Member) bool { return selectsDesignation(m) && !m.Contested }

func selectsDesignation(m observation.Member) bool {
	_, found := m.Spec.Selector[api.LabelDesignation]
	return found
}

// listsHolder reports whether the Service asks Kubernetes' controller for the holder, and
// that controller lists the holder alone. If it will never list the holder, it suffices
// that it lists no other pod.
func listsHolder(a Assignment, m observation.Member, holder *observation.Pod) bool {
	switch {
	case listsAnother(m, a.HolderUID):
		return false
	case cannotList(m, holder):
		return true
	}
	_, listed := m.Listed[a.HolderUID]
	return listed && hasFollowed(a, m) && labels.SelectorFromSet(m.Spec.Selector).Matches(labels.Set(holder.Labels))
}

// hasFollowed reports whether Kubernetes' controller works with a Service that was pointed at
// the holder in the epoch.
func hasFollowed(a Assignment, m observation.Member) bool { return m.Followed == formatEpoch(a.Epoch) }

// listsAnother reports whether Kubernetes' controller lists a pod other than the holder,
// of a Service that has only one master. It is false of an open Service if the holder is
// listed too: that controller has followed, and lists all pods. It is false of a Service
// without a selector: what Kubernetes' controller has left of a former selector stays for
// ever.
func listsAnother(m observation.Member, holder types.UID) bool {
	if _, listed := m.Listed[holder]; m.Settings.Selectorless || listed && !byLabel(m) && !observation.MarkedService(m.Service) {
		return false
	}
	return anotherThan(holder, m.Listed)
}

// anotherThan reports whether a pod other than the holder is listed.
func anotherThan(holder types.UID, listed map[types.UID]bool) bool {
	for uid := range listed {
		if uid != holder {
			return true
		}
	}
	return false
}

// cannotList reports whether Kubernetes' controller will never list the holder. Where the
// Service selects the designation, and another election designates the holder, that
// controller lists the other election's master.
func cannotList(m observation.Member, holder *observation.Pod) bool {
	return holder == nil || !endpoints.Listable(holder.Pod) || selectsDesignation(m) && holder.Elsewhere
}

// replaced reports whether the member's own slices are no longer needed: Kubernetes'
// controller has followed and lists the holder, ready if it is ready in them, or will never
// list it.
func (m member) replaced(a Assignment, holder *observation.Pod) bool {
	if cannotList(m.Member, holder) {
		return true
	}
	ready, listed := m.Listed[a.HolderUID]
	return listed && hasFollowed(a, m.Member) && (ready || !observation.Listed(m.Slices)[a.HolderUID])
}
