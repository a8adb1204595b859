package routing

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
)

// With routing by EndpointSlice the controller writes the Service's slices itself,
// one for each address family with the master as its only endpoint.

// sliceChanges adds what makes the member's own slices list the holder, nil if
// there is no such pod; or removes them if they are not needed. It says
// whether that has to wait until Kubernetes' controller lists nobody else any more;
// nor must labels move until then, which that one may still go by.
func sliceChanges(a Assignment, m Member, holder *Pod, add func(Phase, Change)) (waits bool) {
	published := !Detached(m.Service)
	leaves := m.Settings.Routing != api.RoutingEndpointSlice
	own := Listed(m.Slices)
	_, listed := own[a.HolderUID]
	another := anotherThan(a.HolderUID, own)
	switch {
	case published && !leaves && m.by != api.RoutingEndpointSlice && (!listed || another):
		// A slice that lists nobody: with it no replica that has looked before this
		// can make one for the holder before, beside what is routed to from now on.
		m.publish(ownSlices(a, m, nil, true), true, func(_ Phase, c Change) { add(PhaseCorrect, c) })
	case another && (published || m.by != api.RoutingEndpointSlice && m.handing()):
		// Kubernetes' controller must not list the holder before this.
		m.remove(PhaseCorrect, add)
	case published && leaves && (!listed || m.handedOver(a, holder)):
		m.remove(PhaseDetach, add)
	case (!listed || another) && m.listsAnother(a.HolderUID):
		return true
	default:
		handing := published || m.by != api.RoutingEndpointSlice || len(m.Listed) > 0 && !m.Settings.Selectorless
		m.publish(ownSlices(a, m, holder, handing), m.by == api.RoutingEndpointSlice, add)
	}
	return false
}

func (m Member) remove(phase Phase, add func(Phase, Change)) {
	for _, s := range m.Slices {
		add(phase, changeOf(KindEndpointSlice, s))
	}
}

// publish makes the member's own slices those that are wanted, of which it creates
// what is not there only if it may.
func (m Member) publish(wanted []*discoveryv1.EndpointSlice, create bool, add func(Phase, Change)) {
	named := func(all []*discoveryv1.EndpointSlice, name string) *discoveryv1.EndpointSlice {
		if i := slices.IndexFunc(all, func(s *discoveryv1.EndpointSlice) bool { return s.Name == name }); i >= 0 {
			return all[i]
		}
		return nil
	}
	for _, s := range m.Slices {
		if named(wanted, s.Name) == nil {
			add(PhaseCorrect, changeOf(KindEndpointSlice, s))
		}
	}
	for _, want := range wanted {
		have := named(m.Slices, want.Name)
		switch {
		case have != nil:
			add(update(have, want))
		case create:
			add(PhaseRoute, sliceChange(want))
		}
	}
}

// update makes a slice the one that is wanted. That it is no longer handing over can
// be said later than all else.
func update(have, want *discoveryv1.EndpointSlice) (Phase, Change) {
	now := have.DeepCopy()
	now.Labels, now.OwnerReferences = want.Labels, want.OwnerReferences
	now.Endpoints, now.Ports = want.Endpoints, want.Ports
	if now.Annotations == nil {
		now.Annotations = map[string]string{}
	}
	maps.Copy(now.Annotations, want.Annotations)
	phase := PhaseRoute
	if handing(have) && !handing(want) {
		if apiequality.Semantic.DeepEqual(have, now) {
			phase = PhaseTidy
		}
		delete(now.Annotations, api.AnnotationRouting)
	}
	if apiequality.Semantic.DeepEqual(have, now) {
		return PhaseDone, Change{}
	}
	return phase, sliceChange(now)
}

func sliceChange(s *discoveryv1.EndpointSlice) Change {
	c := changeOf(KindEndpointSlice, s)
	c.Slice = s
	return c
}

// SliceName is the name of a Service's own slice. It is the same for every master
// and every replica, so that an address family cannot have two.
func SliceName(service string, family discoveryv1.AddressType) string {
	return service + "-master-" + strings.ToLower(string(family))
}

// ownSlices are those of the member while the pod is its master, without an
// endpoint while there is none: they say in which epoch also of a Service that
// nothing is written to. The pod owns them, so that its endpoint goes with it while
// no controller runs.
func ownSlices(a Assignment, m Member, holder *Pod, handing bool) []*discoveryv1.EndpointSlice {
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID}
	var pod *corev1.Pod
	var zone string
	if holder != nil {
		owner.Kind, owner.Name, owner.UID = "Pod", holder.Name, holder.UID
		pod, zone = holder.Pod, holder.Zone
	}
	made := endpoints.Slices(m.Service, pod, zone)
	for _, s := range made {
		s.Name = SliceName(m.Name, s.AddressType)
		s.Labels[discoveryv1.LabelManagedBy] = api.SliceManagedBy
		s.Annotations = map[string]string{api.AnnotationLeaseTransitions: formatEpoch(a.Epoch)}
		if handing {
			s.Annotations[api.AnnotationRouting] = string(m.Settings.Routing)
		}
		s.OwnerReferences = []metav1.OwnerReference{owner}
	}
	return made
}

// endpointOf is the pod that one of the slices lists.
func endpointOf(s *discoveryv1.EndpointSlice) types.UID {
	for _, e := range s.Endpoints {
		if e.TargetRef != nil {
			return e.TargetRef.UID
		}
	}
	return ""
}
