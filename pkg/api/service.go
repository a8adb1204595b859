package api

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Annotated says whether the Service carries AnnotationServiceMode at all. Of
// an annotated Service that Parse refuses nothing is changed, so that a typo
// neither moves traffic nor opens the Service to all its pods.
func Annotated(service *corev1.Service) bool {
	_, found := service.Annotations[AnnotationServiceMode]
	return found
}

// LeaseName is the name of the Lease that the Service's election keeps, also
// for a Service that Parse refuses.
func LeaseName(service *corev1.Service) string {
	if name := service.Annotations[AnnotationLeaseName]; name != "" && len(validation.IsDNS1123Subdomain(name)) == 0 {
		return name
	}
	return service.Name
}

// Selects says whether the Service's own selector, without the keys of Domain,
// matches the labels of a pod; or, where it has none, that of its annotation.
// It does so also of a Service that Parse refuses.
func Selects(service *corev1.Service, pod labels.Set) bool {
	// It is asked for each pair of a Service and a pod of a namespace, so that
	// it makes neither a copy nor a labels.Selector of a Service's own.
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

// annotatedSelector is that of AnnotationSelector. One that is not there, or is for
// everybody, is for nobody: a namespace's pods have not one master.
func annotatedSelector(service *corev1.Service) (labels.Selector, error) {
	selector, err := labels.Parse(service.Annotations[AnnotationSelector])
	if err != nil {
		return nil, err
	}
	if selector.Empty() {
		return labels.Nothing(), nil
	}
	return selector, nil
}

// SameElection says whether both versions of a Service take part in the same
// election in the same way. What the controller writes makes no difference.
func SameElection(a, b *corev1.Service) bool {
	users := func(s *corev1.Service) map[string]string {
		own := maps.Clone(s.Spec.Selector)
		delete(own, LabelPodUID)
		delete(own, LabelRouting)
		return own
	}
	return a.UID == b.UID && Annotated(a) == Annotated(b) && LeaseName(a) == LeaseName(b) &&
		a.Annotations[AnnotationServiceMode] == b.Annotations[AnnotationServiceMode] &&
		a.Annotations[AnnotationSelector] == b.Annotations[AnnotationSelector] && maps.Equal(users(a), users(b))
}

// ours says whether a key is of Domain.
func ours(key string) bool { return strings.HasPrefix(key, Domain+"/") }
