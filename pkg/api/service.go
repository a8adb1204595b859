package api

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Annotated reports whether the Service carries AnnotationServiceMode, with whatever
// value. An annotated Service that Parse refuses is left as it is: a typo neither moves
// traffic nor opens the Service to all its pods.
func Annotated(service *corev1.Service) bool {
	_, found := service.Annotations[AnnotationServiceMode]
	return found
}

// Observes reports whether the Service only observes its election: what the controller would do for it
// is told, and not done.
func Observes(service *corev1.Service) bool {
	return service.Annotations[AnnotationServiceMode] == ModeObserve
}

// Routed reports whether the controller may write to the Service and to its pods. What it has written
// is taken away from a Service that is not Routed, and from pods that no Service selects that is.
func Routed(service *corev1.Service) bool { return Annotated(service) && !Observes(service) }

// LeaseName returns the name of the Lease of the Service's election, also for a Service
// that Parse refuses.
func LeaseName(service *corev1.Service) string {
	// A long name is not worth a look at its characters.
	if name := service.Annotations[AnnotationLeaseName]; name != "" && len(name) <= validation.DNS1123SubdomainMaxLength && len(validation.IsDNS1123Subdomain(name)) == 0 {
		return name
	}
	return service.Name
}

// Selects reports whether the Service's own selector, without the keys of Domain,
// matches the labels of a pod. If the Service has no selector of its own, that of
// AnnotationSelector counts. Both hold also for a Service that Parse refuses.
func Selects(service *corev1.Service, pod labels.Set) bool {
	// Called for each pair of a Service and a pod of a namespace: it must not copy the
	// Service's selector, nor make a labels.Selector of it.
	own := false
	for key, value := range service.Spec.Selector {
		if ours(key) {
			continue
		}
		if have, found := pod[key]; !found || have != value {
			return false
		}
		own = true
	}
	if own {
		return true
	}
	selector, err := annotatedSelector(service)
	return err == nil && selector.Matches(pod)
}

// SelectedLabels returns labels, such as "app=web", none of them the project's own, of which every pod has at least one that the
// Service Selects. It returns nil if there are none: the Service then selects pods by what they
// lack, or by keys alone.
func SelectedLabels(service *corev1.Service) (some []string) {
	for _, key := range slices.Sorted(maps.Keys(service.Spec.Selector)) {
		if !ours(key) {
			return []string{Label(key, service.Spec.Selector[key])}
		}
	}
	selector, err := annotatedSelector(service)
	if err != nil {
		return nil
	}
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		if ours(r.Key()) {
			continue
		}
		switch r.Operator() {
		case selection.Equals, selection.DoubleEquals, selection.In:
			for value := range r.Values() {
				some = append(some, Label(r.Key(), value))
			}
			return some
		}
	}
	return nil
}

// Label is how SelectedLabels writes a label.
func Label(key, value string) string { return key + "=" + value }

// annotatedSelector returns the selector of AnnotationSelector. A missing selector, or
// one that matches every pod, selects no pod: all pods of a namespace cannot have one
// master.
func annotatedSelector(service *corev1.Service) (labels.Selector, error) {
	selector, err := parseSelector(service.Annotations[AnnotationSelector])
	if err != nil {
		return nil, err
	}
	if selector.Empty() {
		return labels.Nothing(), nil
	}
	return selector, nil
}

// SameElection reports whether both versions of a Service take part in the same
// election in the same way. What the controller writes makes no difference.
func SameElection(a, b *corev1.Service) bool {
	users := func(s *corev1.Service) map[string]string {
		own := maps.Clone(s.Spec.Selector)
		delete(own, LabelPodUID)
		delete(own, LabelRouting)
		return own
	}
	external := func(s *corev1.Service) bool { return s.Spec.Type == corev1.ServiceTypeExternalName }
	return a.UID == b.UID && Annotated(a) == Annotated(b) && external(a) == external(b) && LeaseName(a) == LeaseName(b) &&
		a.Annotations[AnnotationServiceMode] == b.Annotations[AnnotationServiceMode] &&
		a.Annotations[AnnotationSelector] == b.Annotations[AnnotationSelector] && maps.Equal(users(a), users(b))
}

// ours reports whether a key is of Domain.
func ours(key string) bool { return strings.HasPrefix(key, Domain+"/") }
