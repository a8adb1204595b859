package routing

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
)

// A Service goes over to the controller's own EndpointSlices, or from them, in
// steps. Kubernetes' own controller follows the Service's selector at any later
// time, so that no step is taken before it is seen to have followed the last one:
//
//	                           the Service     Kubernetes'    own
//	selector or label          is published    the holder     none
//	  goes over to             is published    the holder     the holder, handing
//	                           is detached     the holder     the holder, handing
//	endpointslice              is detached     nobody         the holder
//	  goes over from           is detached     nobody         the holder, handing
//	                           is published    nobody         the holder, handing
//	                           is published    the holder     none
//
// Own slices that are handing over say so in an annotation, as long as Kubernetes'
// controller may have something to list. All replicas can rely on its absence: who
// has not heard of the Service's changes still cannot write another pod into slices
// that list one beside Kubernetes'. And once the Service may be published they are
// not written for another pod, but emptied or removed.
//
// While the first step has to wait, as Kubernetes' controller does not list the
// holder yet, own slices list nobody, so that no replica makes one for the holder
// before that one is replaced.
//
// A Service that opts in has all its pods listed, and may have until Kubernetes'
// controller has followed: it is not waited for.

// Detached says whether Kubernetes' controller is to publish nothing of the Service.
func Detached(service *corev1.Service) bool {
	return len(service.Spec.Selector) == 0 || service.Spec.Selector[api.LabelRouting] == string(api.RoutingEndpointSlice)
}

// GoingOver says whether the member is on its way to or from its own slices. Then it
// matters at which step it is now, and not in a cache; Next has to know what
// Kubernetes' controller has Listed; and that changes without a change of the member.
func GoingOver(m Member) bool {
	if m.Settings.Routing == api.RoutingEndpointSlice {
		return !Detached(m.Service) || len(m.Slices) == 0 || m.handing()
	}
	return Detached(m.Service) || len(m.Slices) > 0
}

// Listed are the pods that the slices list; true for those that are ready.
func Listed(all []*discoveryv1.EndpointSlice) map[types.UID]bool {
	listed := map[types.UID]bool{}
	for _, s := range all {
		for _, e := range s.Endpoints {
			if e.TargetRef != nil {
				ready := e.Conditions.Ready == nil || *e.Conditions.Ready
				listed[e.TargetRef.UID] = listed[e.TargetRef.UID] || ready
			}
		}
	}
	return listed
}

// Begin finds out, from what was just read, in which routing each member is: that of
// its settings, unless Kubernetes' controller has yet to follow the one that it is to
// leave. It stays so while Next is called, as that controller cannot have followed
// what is written meanwhile.
func Begin(a Assignment, members []Member, pods []Pod) {
	holder := holderOf(a, pods)
	for i := range members {
		members[i].by = members[i].routing(a, holder)
	}
}

func (m Member) routing(a Assignment, holder *Pod) api.Routing {
	wanted := m.Settings.Routing
	_, bySelector := m.Spec.Selector[api.LabelPodUID]
	switch {
	case wanted != api.RoutingEndpointSlice:
		if Detached(m.Service) && len(m.Listed) > 0 {
			return api.RoutingEndpointSlice
		}
	case Detached(m.Service) || m.listsHolder(a, holder):
	case bySelector:
		return api.RoutingSelector
	case m.byLabel():
		return api.RoutingLabel
	}
	return wanted
}

func (m Member) byLabel() bool {
	_, found := m.Spec.Selector[api.LabelDesignation]
	return found
}

// listsHolder says whether Kubernetes' controller lists the holder alone, if it can,
// and the Service asks it to.
func (m Member) listsHolder(a Assignment, holder *Pod) bool {
	switch {
	case m.listsAnother(a.HolderUID):
		return false
	case m.cannotList(holder):
		return true
	}
	_, listed := m.Listed[a.HolderUID]
	return listed && labels.SelectorFromSet(m.Spec.Selector).Matches(labels.Set(holder.Labels))
}

// listsAnother says whether Kubernetes' controller lists a pod other than the
// holder, of a Service that has only one master. A Service that opts in has all its
// pods listed, and nobody waits for that; nor for what is left of a selector that
// was removed, as it stays.
func (m Member) listsAnother(holder types.UID) bool {
	if m.Settings.Selectorless || !m.byLabel() && !MarkedService(m.Service) {
		return false
	}
	return anotherThan(holder, m.Listed)
}

func anotherThan(holder types.UID, listed map[types.UID]bool) bool {
	for uid := range listed {
		if uid != holder {
			return true
		}
	}
	return false
}

// cannotList says whether Kubernetes' controller will never list the holder: a label
// that is another election's to write leads to that one's master.
func (m Member) cannotList(holder *Pod) bool {
	return holder == nil || !endpoints.Listable(holder.Pod) || m.byLabel() && holder.Elsewhere
}

// handedOver says whether the member's own slices are not needed any more, as
// Kubernetes' controller lists the holder like them, if it can.
func (m Member) handedOver(a Assignment, holder *Pod) bool {
	if m.cannotList(holder) {
		return true
	}
	ready, listed := m.Listed[a.HolderUID]
	return listed && (ready || !Listed(m.Slices)[a.HolderUID])
}

func (m Member) handing() bool { return slices.ContainsFunc(m.Slices, handing) }

func handing(s *discoveryv1.EndpointSlice) bool {
	_, found := s.Annotations[api.AnnotationRouting]
	return found
}
