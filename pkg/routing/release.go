package routing

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// Leftovers are the objects of a namespace. Release looks in them for what elections have
// left behind that no Service asks for now.
type Leftovers struct {
	Services []*corev1.Service
	// Pods must not have been read later than Services: then a mark on a pod was made for a
	// Service that is among them.
	Pods []*corev1.Pod
	// Slices are the controller's own EndpointSlices, and those of Kubernetes' controller of
	// the same Services.
	Slices []*discoveryv1.EndpointSlice
	// Owners are those of the election's Lease, if an election is released.
	Owners []metav1.OwnerReference
}

// Annotated returns the Services that take part in an election, or observe one.
func (l Leftovers) Annotated() []*corev1.Service {
	return slices.DeleteFunc(slices.Clone(l.Services), func(s *corev1.Service) bool { return !api.Annotated(s) })
}

// routed returns the Services that take part in an election.
func (l Leftovers) routed() []*corev1.Service {
	return slices.DeleteFunc(slices.Clone(l.Services), func(s *corev1.Service) bool { return !api.Routed(s) })
}

// OptedOut returns those of the Services that take part in no election.
func (l Leftovers) OptedOut(of func(*corev1.Service) bool) []*corev1.Service {
	return slices.DeleteFunc(slices.Clone(l.Services), func(s *corev1.Service) bool { return api.Annotated(s) || !of(s) })
}

// ReleaseServices returns what must be taken away first: the marks of Services that are not
// routed now.
func (l Leftovers) ReleaseServices() (changes []Change) {
	for _, s := range l.Services {
		if c := l.release(s); !api.Routed(s) && !c.Empty() {
			changes = append(changes, c)
		}
	}
	return changes
}

// release takes away what the controller wrote to the Service. Own slices, the Lease, or that the
// controller wrote the selector last, show that the key which keeps Kubernetes from publishing is
// the controller's, even without the stamp.
func (l Leftovers) release(s *corev1.Service) Change {
	c := ReleaseService(s)
	if slices.ContainsFunc(l.Slices, func(own *discoveryv1.EndpointSlice) bool {
		return observation.Own(own) && observation.ServiceOf(own).Name == s.Name
	}) || wroteSelector(s) || slices.ContainsFunc(l.Owners, func(o metav1.OwnerReference) bool { return o.UID == s.UID }) {
		unset(c.Selector, s.Spec.Selector, api.LabelRouting)
	}
	return c
}

// Release returns what can be taken away once the Services are released, but for those of
// the given names: marks from pods that neither those nor routed Services select, and the
// controller's own EndpointSlices of Services that are not routed now or no longer
// there. It also returns the names of the Services whose slices must wait, because
// Kubernetes' controller does not yet list a pod of them.
func (l Leftovers) Release(unreleased sets.Set[string]) (changes []Change, waits []string) {
	needing := l.routed()
	for _, s := range l.Services {
		if !api.Routed(s) && unreleased.Has(s.Name) {
			// While a Service selects the master's identity label, the master keeps it.
			needing = append(needing, s)
		}
	}
	for _, pod := range l.Pods {
		if c := l.releasePod(pod); !c.Empty() && observation.OldestSelecting(needing, pod) == nil && !l.routedTo(pod) {
			changes = append(changes, c)
		}
	}
	for _, s := range l.Slices {
		name := observation.ServiceOf(s).Name
		switch i := slices.IndexFunc(l.Services, func(service *corev1.Service) bool { return service.Name == name }); {
		case !observation.Own(s), i >= 0 && api.Routed(l.Services[i]), unreleased.Has(name):
		case i >= 0 && l.needs(l.Services[i]):
			waits = append(waits, name)
		default:
			changes = append(changes, DeleteSlice(s))
		}
	}
	return changes, waits
}

// routedTo reports whether a Service of an election that goes on leads to the pod, a master that it does not
// select any longer. The election has yet to see that. If the Lease is gone, nothing but the pod's marks tells
// that it was master, and may have to stop before another follows.
func (l Leftovers) routedTo(pod *corev1.Pod) bool {
	return observation.Held(pod) >= 0 && slices.ContainsFunc(l.routed(), func(s *corev1.Service) bool {
		if _, _, served := api.Parse(s); !served {
			return false
		}
		own := slices.DeleteFunc(slices.Clone(l.Slices), func(slice *discoveryv1.EndpointSlice) bool {
			return !observation.Own(slice) || observation.ServiceOf(slice).Name != s.Name
		})
		_, listed := observation.Listed(own)[pod.UID]
		return listed || s.Spec.Selector[api.LabelPodUID] == string(pod.UID)
	})
}

// Disown returns the changes that take away the controller's claims to the selectors of
// Services that are not routed now, but for those of the given names. written are those
// Services as ReleaseServices' changes have left them.
func (l Leftovers) Disown(written []*corev1.Service, unreleased sets.Set[string]) (changes []Change) {
	for _, s := range l.Services {
		if i := slices.IndexFunc(written, func(now *corev1.Service) bool { return now.UID == s.UID }); i >= 0 {
			s = written[i]
		}
		if c := disown(s); !api.Routed(s) && !unreleased.Has(s.Name) && !c.Empty() {
			changes = append(changes, c)
		}
	}
	return changes
}

// ReleaseConditions returns what takes the controller's condition from Services that are no longer
// annotated, but for those of the given names.
func (l Leftovers) ReleaseConditions(unreleased sets.Set[string]) (changes []Change) {
	for _, s := range l.Services {
		if !api.Annotated(s) && !unreleased.Has(s.Name) && observation.Condition(s) != nil {
			changes = append(changes, ReleaseCondition(s))
		}
	}
	return changes
}

// ServiceOf returns the name of the Service that is changed, or whose EndpointSlice is.
func (l Leftovers) ServiceOf(c Change) string {
	if c.Kind == KindService {
		return c.Name
	}
	i := slices.IndexFunc(l.Slices, func(s *discoveryv1.EndpointSlice) bool { return s.UID == c.UID })
	if i < 0 {
		return ""
	}
	return observation.ServiceOf(l.Slices[i]).Name
}

// releasePod leaves what tells that the pod was master of an election that goes on, because it may
// have to stop before another follows. It also leaves the designation of a master that the selector of a Service, which its
// user has written, goes on to ask for, unless an election goes on that may designate another pod of that Service.
func (l Leftovers) releasePod(pod *corev1.Pod) Change {
	c := ReleasePod(pod)
	if of := observation.MasterOf(pod); of != "" && slices.ContainsFunc(l.routed(), func(s *corev1.Service) bool { return api.LeaseName(s) == of }) {
		delete(c.Annotations, api.AnnotationLeaseTransitions)
		delete(c.Annotations, api.AnnotationWitness)
	}
	if slices.ContainsFunc(l.Services, func(s *corev1.Service) bool {
		return !api.Routed(s) && s.Spec.Selector[api.LabelDesignation] == api.DesignationActive &&
			labels.SelectorFromSet(l.released(s)).Matches(labels.Set(pod.Labels)) && !l.designated(s)
	}) {
		delete(c.Labels, api.LabelDesignation)
	}
	return c
}

// designated reports whether an election goes on for a pod that the Service selects, but for the
// designation.
func (l Leftovers) designated(s *corev1.Service) bool {
	own := l.released(s)
	delete(own, api.LabelDesignation)
	all := labels.SelectorFromSet(own)
	return slices.ContainsFunc(l.routed(), func(other *corev1.Service) bool {
		_, _, served := api.Parse(other)
		return served && slices.ContainsFunc(l.Pods, func(p *corev1.Pod) bool {
			return all.Matches(labels.Set(p.Labels)) && api.Selects(other, p.Labels)
		})
	})
}

// released returns the selector that the Service has once it is released.
func (l Leftovers) released(s *corev1.Service) map[string]string {
	own := maps.Clone(s.Spec.Selector)
	for key := range l.release(s).Selector {
		delete(own, key)
	}
	return own
}

// needs reports whether a Service that has opted out needs the controller's own slices:
// it will have pods to serve it, but Kubernetes' controller does not list one yet.
func (l Leftovers) needs(service *corev1.Service) bool {
	own := l.released(service)
	selector := labels.SelectorFromSet(own)
	serves := func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp == nil && observation.Ready(pod) && selector.Matches(labels.Set(pod.Labels))
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || len(own) == 0 || !slices.ContainsFunc(l.Pods, serves) {
		return false
	}
	if _, detached := l.release(service).Selector[api.LabelRouting]; detached {
		// What Kubernetes' controller lists is from before, until the Service is released.
		return true
	}
	builtIn := slices.DeleteFunc(slices.Clone(l.Slices), func(s *discoveryv1.EndpointSlice) bool {
		return observation.Own(s) || observation.ServiceOf(s).Name != service.Name
	})
	for _, ready := range observation.Listed(builtIn) {
		if ready {
			return false
		}
	}
	return true
}

// ReleaseService takes away what the controller wrote to a Service. The key of the identity
// label is the controller's even without the stamp: only the controller gives a pod that
// label. The constant key may be a user's unless there is the stamp.
func ReleaseService(service *corev1.Service) Change {
	c := changeOf(KindService, service)
	unset(c.Labels, service.Labels, api.LabelMigrating)
	unset(c.Selector, service.Spec.Selector, api.LabelPodUID)
	if observation.MarkedService(service) {
		unset(c.Selector, service.Spec.Selector, api.LabelRouting)
		unset(c.Annotations, service.Annotations, api.AnnotationLeaseTransitions)
	}
	return c
}

// LeftBy returns what the user of a Service that is not routed any longer must know: its selector does
// not give it all its pods. follows: another Service goes on to take part in the election, so that
// the designation follows the master.
func LeftBy(service *corev1.Service, follows bool) (problem api.Problem, found bool) {
	own := maps.Clone(service.Spec.Selector)
	delete(own, api.LabelPodUID)
	delete(own, api.LabelRouting)
	problem.Reason = api.ReasonOptedOut
	has := "has opted out"
	if api.Observes(service) {
		has = "is only observed now"
	}
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return api.Problem{}, false
	case len(own) == 0:
		problem.Message = fmt.Sprintf("this Service %s and has no selector of its own, so it has no endpoints; give it a selector, such as {app: %s}", has, service.Name)
	case own[api.LabelDesignation] != "" && !follows:
		problem.Message = fmt.Sprintf("this Service %s, but its selector asks for %s: %s, so the last master stays its only endpoint, and no pod follows it; take that key out of the selector",
			has, api.LabelDesignation, own[api.LabelDesignation])
	default:
		return api.Problem{}, false
	}
	return problem, true
}

// ReleasePod takes away what the controller wrote to a pod. A designation without a stamp
// stays: the predecessor wrote it, or a user.
func ReleasePod(pod *corev1.Pod) Change {
	c := changeOf(KindPod, pod)
	unset(c.Labels, pod.Labels, api.LabelPodUID)
	if _, stamped := pod.Annotations[api.AnnotationLeaseTransitions]; stamped {
		unset(c.Labels, pod.Labels, api.LabelDesignation)
		unset(c.Annotations, pod.Annotations, api.AnnotationLeaseTransitions)
		unset(c.Annotations, pod.Annotations, api.AnnotationWitness)
		unsetDeletionCost(c, pod)
	}
	return c
}
