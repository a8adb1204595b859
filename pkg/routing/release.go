package routing

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

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
}

// Annotated returns the Services that take part in an election.
func (l Leftovers) Annotated() []*corev1.Service {
	return slices.DeleteFunc(slices.Clone(l.Services), func(s *corev1.Service) bool { return !api.Annotated(s) })
}

// Release returns what must be taken away, in steps, each of which must succeed before the
// next: marks from Services that are no longer annotated, marks from pods that no
// annotated Service selects, and then the controller's own EndpointSlices of Services that
// are no longer annotated or no longer there. It reports whether some slices must wait,
// because Kubernetes' controller does not yet list a pod of their Service.
func Release(l Leftovers) (steps [][]Change, waits bool) {
	var services, pods, own []Change
	annotated := l.Annotated()
	for _, s := range l.Services {
		if c := ReleaseService(s); !api.Annotated(s) && !c.Empty() {
			services = append(services, c)
		}
	}
	for _, pod := range l.Pods {
		if c := ReleasePod(pod); !c.Empty() && observation.OldestSelecting(annotated, pod) == nil {
			pods = append(pods, c)
		}
	}
	for _, s := range l.Slices {
		switch i := slices.IndexFunc(l.Services, func(service *corev1.Service) bool { return service.Name == observation.ServiceOf(s).Name }); {
		case !observation.Own(s), i >= 0 && api.Annotated(l.Services[i]):
		case i >= 0 && l.needs(l.Services[i]):
			waits = true
		default:
			own = append(own, DeleteSlice(s))
		}
	}
	// While a Service selects the master's identity label, the master keeps it.
	return [][]Change{services, pods, own}, waits
}

// needs reports whether a Service that has opted out needs the controller's own slices:
// it will have pods to serve it, but Kubernetes' controller does not list one yet.
func (l Leftovers) needs(service *corev1.Service) bool {
	own, released := maps.Clone(service.Spec.Selector), ReleaseService(service).Selector
	for key := range released {
		delete(own, key)
	}
	selector := labels.SelectorFromSet(own)
	serves := func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp == nil && observation.Ready(pod) && selector.Matches(labels.Set(pod.Labels))
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || len(own) == 0 || !slices.ContainsFunc(l.Pods, serves) {
		return false
	}
	if _, detached := released[api.LabelRouting]; detached {
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

// ReleaseService takes away what the controller wrote to a Service. From a Service that
// the controller has never written to it takes nothing: the key in its selector is a
// user's.
func ReleaseService(service *corev1.Service) Change {
	c := changeOf(KindService, service)
	if observation.MarkedService(service) {
		unset(c.Selector, service.Spec.Selector, api.LabelPodUID)
		unset(c.Selector, service.Spec.Selector, api.LabelRouting)
		unset(c.Annotations, service.Annotations, api.AnnotationLeaseTransitions)
	}
	return c
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
