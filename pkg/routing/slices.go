package routing

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// With routing by EndpointSlice the controller writes the Service's slices itself: one
// for each address family, with the master as its only endpoint.

// sliceStep is what must be done with a member's own slices.
type sliceStep int

const (
	// publishSlices makes them list the holder, and creates those that are missing.
	publishSlices sliceStep = iota
	// keepSlices makes those that exist list the holder, and creates none.
	keepSlices
	// reserveSlices makes them list no pod, before all else, and creates those that are
	// missing.
	reserveSlices
	// withdrawSlices deletes them before all else: they list a pod other than the holder,
	// and Kubernetes' controller may be about to list the holder.
	withdrawSlices
	// retireSlices deletes them once traffic follows without them.
	retireSlices
	// awaitKubernetes leaves them until Kubernetes' controller lists no pod but the holder.
	awaitKubernetes
)

// sliceStepOf classifies the member by what must be done with its own slices; the holder
// is nil if it is not a candidate.
func sliceStepOf(a Assignment, m member, holder *observation.Pod) sliceStep {
	own := observation.Listed(m.Slices)
	_, listed := own[a.HolderUID]
	another := anotherThan(a.HolderUID, own)
	exact := listed && !another
	switch stateOf(m) {
	case reserving:
		if exact {
			return keepSlices
		}
		return reserveSlices
	case joining:
		switch {
		case another:
			return withdrawSlices
		case !listed && listsAnother(m.Member, a.HolderUID):
			return awaitKubernetes
		}
		return publishSlices
	case detaching, byController:
		if !exact && listsAnother(m.Member, a.HolderUID) {
			return awaitKubernetes
		}
		return publishSlices
	case leaving:
		kubernetesFollowed := m.inForce != api.RoutingEndpointSlice
		switch {
		case another && kubernetesFollowed && m.transitional():
			return withdrawSlices
		case !exact && listsAnother(m.Member, a.HolderUID):
			return awaitKubernetes
		case kubernetesFollowed:
			return keepSlices
		}
		return publishSlices
	case returning:
		switch {
		case another:
			return withdrawSlices
		case !listed || m.replaced(a, holder):
			return retireSlices
		}
		return keepSlices
	}
	return retireSlices
}

// sliceChanges adds the changes that make the member's own slices list the holder (nil
// if it is not a candidate), or that delete slices that are no longer needed. It reports
// whether the caller must wait until Kubernetes' controller lists no other pod. Until
// then labels must not move either: that controller may still select by them.
func sliceChanges(a Assignment, m member, holder *observation.Pod, add func(Phase, Change)) (waits bool) {
	switch sliceStepOf(a, m, holder) {
	case reserveSlices:
		// Kubernetes' controller publishes, so the Service knows the holder.
		m.publish(ownSlices(Assignment{Epoch: a.Epoch}, m, nil, true), true, func(_ Phase, c Change) { add(PhaseCorrect, c) })
	case withdrawSlices:
		m.remove(PhaseCorrect, add)
	case retireSlices:
		m.remove(PhaseDetach, add)
	case awaitKubernetes:
		return true
	case keepSlices:
		m.publish(ownSlices(a, m, holder, true), false, add)
	case publishSlices:
		// Kubernetes' controller may list a pod beside them.
		transitional := !observation.Detached(m.Service) || len(m.Listed) > 0 && !m.Settings.Selectorless
		m.publish(ownSlices(a, m, holder, transitional), true, add)
	}
	return false
}

func (m member) remove(phase Phase, add func(Phase, Change)) {
	for _, s := range m.Slices {
		add(phase, DeleteSlice(s))
	}
}

// DeleteSlice returns the change that deletes one of the controller's own slices.
func DeleteSlice(s *discoveryv1.EndpointSlice) Change { return changeOf(KindEndpointSlice, s) }

// publish makes the member's own slices those that are wanted. It creates missing ones
// only with create.
func (m member) publish(wanted []*discoveryv1.EndpointSlice, create bool, add func(Phase, Change)) {
	named := func(all []*discoveryv1.EndpointSlice, name string) *discoveryv1.EndpointSlice {
		if i := slices.IndexFunc(all, func(s *discoveryv1.EndpointSlice) bool { return s.Name == name }); i >= 0 {
			return all[i]
		}
		return nil
	}
	for _, s := range m.Slices {
		if named(wanted, s.Name) == nil {
			add(PhaseCorrect, DeleteSlice(s))
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

// update returns the change that makes a slice the wanted one, and its phase. What others
// have added to the slice's annotations stays. If the slice differs only in that it no
// longer is transitional, the change can come last.
func update(have, want *discoveryv1.EndpointSlice) (Phase, Change) {
	now := have.DeepCopy()
	now.Labels, now.OwnerReferences = want.Labels, want.OwnerReferences
	now.Endpoints, now.Ports = want.Endpoints, want.Ports
	if now.Annotations == nil {
		now.Annotations = map[string]string{}
	}
	delete(now.Annotations, api.AnnotationHolderUID)
	maps.Copy(now.Annotations, want.Annotations)
	phase := PhaseRoute
	if observation.Transitional(have) && !observation.Transitional(want) {
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

// ownSlices returns the slices that the member must have while the pod is its master; nil
// stands for no master, and then they have no endpoint. They exist all the same: their
// stamp tells the epoch of a Service that is never patched. The pod owns its slices, so
// that the garbage collector removes its endpoint with it even if no controller runs.
func ownSlices(a Assignment, m member, holder *observation.Pod, transitional bool) []*discoveryv1.EndpointSlice {
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID}
	var pod *corev1.Pod
	zone := ""
	if holder != nil {
		owner.Kind, owner.Name, owner.UID = "Pod", holder.Name, holder.UID
		pod, zone = holder.Pod, cmp.Or(m.zoneOf(holder), holder.Node.Zone)
	}
	made := endpoints.Slices(m.Service, pod, zone)
	for _, s := range made {
		s.Name = observation.SliceName(m.Name, s.AddressType)
		s.Labels[discoveryv1.LabelManagedBy] = api.SliceManagedBy
		// It is for Kubernetes' own controller.
		delete(s.Labels, api.LabelMigrating)
		s.Annotations = map[string]string{api.AnnotationLeaseTransitions: formatEpoch(a.Epoch)}
		if holder == nil && a.HolderUID != "" {
			// The slice does not list the master, which may run all the same.
			s.Annotations[api.AnnotationHolderUID] = string(a.HolderUID)
		}
		if transitional {
			s.Annotations[api.AnnotationRouting] = string(m.Settings.Routing)
		}
		s.OwnerReferences = []metav1.OwnerReference{owner}
	}
	return made
}

// zoneOf returns the zone that the member's own slices have for the holder on its node;
// empty if they have none. That zone is kept. Replicas that have heard of different zones of a
// node would otherwise rewrite the slice in turns.
func (m member) zoneOf(holder *observation.Pod) string {
	for _, s := range m.Slices {
		for _, e := range s.Endpoints {
			if e.TargetRef != nil && e.TargetRef.UID == holder.UID && e.NodeName != nil && *e.NodeName == holder.Spec.NodeName && e.Zone != nil {
				return *e.Zone
			}
		}
	}
	return ""
}
