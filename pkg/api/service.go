package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Settings is what a Service asks for. Only Parse makes one.
type Settings struct {
	// LeaseName is the name of the election's Lease, in the Service's namespace.
	LeaseName string
	Routing   Routing
	// Candidates selects the pods that can become master: the Service's own
	// selector without the controller's keys.
	Candidates labels.Selector
	// Prefer selects the preferred ones among them; by default nobody.
	Prefer labels.Selector
}

// Problem is something in a Service that the controller cannot do as asked.
type Problem struct {
	// Reason is the reason of the Warning event.
	Reason string
	// Message names the key, its value and what is allowed.
	Message string
}

// Reasons of Problems.
const (
	ReasonUnknownServiceMode  = "UnknownServiceMode"
	ReasonUnsupportedService  = "UnsupportedService"
	ReasonForeignSelectorKey  = "ForeignSelectorKey"
	ReasonInvalidAnnotation   = "InvalidAnnotation"
	ReasonUnknownAnnotation   = "UnknownAnnotation"
	ReasonOverlappingElection = "OverlappingElection"
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
// matches the labels of a pod; also of a Service that Parse refuses.
func Selects(service *corev1.Service, pod labels.Set) bool {
	// It is asked for each pair of a Service and a pod of a namespace, so that
	// it makes neither a copy nor a labels.Selector.
	selects := false
	for key, value := range service.Spec.Selector {
		if strings.HasPrefix(key, Domain+"/") {
			continue
		}
		if have, found := pod[key]; !found || have != value {
			return false
		}
		selects = true
	}
	return selects
}

// SameElection says whether both versions of a Service take part in the same
// election in the same way. What the controller writes makes no difference.
func SameElection(a, b *corev1.Service) bool {
	users := func(s *corev1.Service) map[string]string {
		own := maps.Clone(s.Spec.Selector)
		delete(own, LabelPodUID)
		return own
	}
	return a.UID == b.UID && Annotated(a) == Annotated(b) && LeaseName(a) == LeaseName(b) &&
		a.Annotations[AnnotationServiceMode] == b.Annotations[AnnotationServiceMode] && maps.Equal(users(a), users(b))
}

// Parse reads the settings of a Service that is Annotated. The Service is
// served when ok is true; problems may be non-empty all the same, where a
// default stands in for a value that does not parse.
func Parse(service *corev1.Service) (settings Settings, problems []Problem, ok bool) {
	refuse := func(reason, format string, args ...any) (Settings, []Problem, bool) {
		return Settings{}, []Problem{{reason, fmt.Sprintf(format, args...)}}, false
	}
	if mode := service.Annotations[AnnotationServiceMode]; mode != ModeActiveStandby {
		return refuse(ReasonUnknownServiceMode, "annotation %s: %q is not known, allowed is %q; the Service is left as it is", AnnotationServiceMode, mode, ModeActiveStandby)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return refuse(ReasonUnsupportedService, "a Service of type ExternalName has no pods; allowed are ClusterIP, NodePort and LoadBalancer")
	}

	settings = Settings{LeaseName: LeaseName(service), Routing: RoutingSelector, Prefer: labels.Nothing()}
	own := maps.Clone(service.Spec.Selector)
	delete(own, LabelPodUID)
	if designation, found := own[LabelDesignation]; found {
		if designation != DesignationActive {
			return refuse(ReasonForeignSelectorKey, "selector %s: %q cannot be served, allowed is %q; remove the key, or the annotation %s", LabelDesignation, designation, DesignationActive, AnnotationServiceMode)
		}
		settings.Routing = RoutingLabel
		delete(own, LabelDesignation)
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if strings.HasPrefix(key, Domain+"/") {
			return refuse(ReasonForeignSelectorKey, "selector %s: %q is not the controller's; keys of %s allowed in a selector are %s and %s", key, own[key], Domain, LabelPodUID, LabelDesignation)
		}
	}
	if len(own) == 0 {
		return refuse(ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become its master; give it one, such as {app: %s}", service.Name)
	}
	settings.Candidates = labels.SelectorFromSet(own)

	invalid := func(key, format string, args ...any) {
		problems = append(problems, Problem{ReasonInvalidAnnotation, fmt.Sprintf("annotation %s: %q ", key, service.Annotations[key]) + fmt.Sprintf(format, args...)})
	}
	for _, key := range slices.Sorted(maps.Keys(service.Annotations)) {
		value := service.Annotations[key]
		switch key {
		case AnnotationServiceMode, AnnotationLeaseTransitions:
		case AnnotationRouting:
			switch {
			case Routing(value) == settings.Routing:
			case Routing(value) == RoutingSelector:
				invalid(key, "contradicts the selector, which holds %s: %s; %q is used, remove one of them", LabelDesignation, DesignationActive, settings.Routing)
			default:
				invalid(key, "is not known, allowed is %q (for routing by label, put %s: %s into the selector); %q is used", RoutingSelector, LabelDesignation, DesignationActive, settings.Routing)
			}
		case AnnotationLeaseName:
			if errs := validation.IsDNS1123Subdomain(value); len(errs) > 0 {
				invalid(key, "is not a Lease's name: %s; the Service's name %q is used", errs[0], service.Name)
			}
		case AnnotationPrefer:
			selector, err := labels.Parse(value)
			if err != nil {
				invalid(key, "is not a label selector, such as \"tier=fast,disk!=slow\": %v; no pod is preferred", err)
			} else if !selector.Empty() {
				settings.Prefer = selector
			}
		default:
			if strings.HasPrefix(key, Domain+"/") {
				problems = append(problems, Problem{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s is not known; allowed are %s", key, strings.Join(userAnnotations, ", "))})
			}
		}
	}
	return settings, problems, true
}

var userAnnotations = []string{AnnotationServiceMode, AnnotationRouting, AnnotationLeaseName, AnnotationPrefer}
