package api

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// refused returns why the Service cannot be served, or nil. It reads the mode, and
// the selector with what that implies: the candidates and the routing.
func (p *parser) refused() *Problem {
	if mode := p.service.Annotations[AnnotationServiceMode]; mode != ModeActiveStandby && mode != ModeObserve {
		return refusal(ReasonUnknownServiceMode, "annotation %s: %q is not valid; allowed: %s; %s", AnnotationServiceMode, cut(mode), allowedMode, Left(p.service))
	}
	if p.service.Spec.Type == corev1.ServiceTypeExternalName {
		return refusal(ReasonUnsupportedService, "a Service of type ExternalName has no pods; allowed: ClusterIP, NodePort and LoadBalancer; the Service is left as it is")
	}
	return p.selector()
}

func refusal(reason, format string, args ...any) *Problem {
	return &Problem{reason, fmt.Sprintf(format, args...)}
}

// Left says what traffic does while the controller leaves the Service as it is.
func Left(service *corev1.Service) string {
	const left = "the Service is left as it is: "
	selector := service.Spec.Selector
	_, detached := selector[LabelRouting]
	switch uid, routed := selector[LabelPodUID]; {
	case len(selector) == 0:
		return left + "its EndpointSlices stay as they are"
	case uid == NoPod:
		return left + "no pod gets traffic"
	case routed, detached:
		return left + "traffic stays with the pod that was master last, even if that fails"
	case selector[LabelDesignation] == DesignationActive:
		return left + "traffic stays with the pods that are labelled " + LabelDesignation + ": " + DesignationActive + ", even if they fail"
	}
	return left + "all Ready pods that its selector matches get traffic"
}

func (p *parser) selector() (refused *Problem) {
	own := maps.Clone(p.service.Spec.Selector)
	delete(own, LabelPodUID)
	for _, choice := range []struct{ key, allowed string }{
		{LabelRouting, string(RoutingEndpointSlice)},
		{LabelDesignation, DesignationActive},
	} {
		if value, found := own[choice.key]; found && value != choice.allowed {
			return refusal(ReasonForeignSelectorKey, "selector %s: %q is not valid; allowed: %q; remove the key, or the annotation %s; %s", choice.key, value, choice.allowed, AnnotationServiceMode, Left(p.service))
		}
	}
	// LabelRouting chooses nothing: the controller may have left it.
	delete(own, LabelRouting)
	_, designated := own[LabelDesignation]
	if designated {
		p.Routing = RoutingLabel
		delete(own, LabelDesignation)
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if ours(key) {
			return refusal(ReasonForeignSelectorKey, "selector %s: %q is not known; allowed keys of %s: %s, %s and %s; %s", key, own[key], Domain, LabelPodUID, LabelDesignation, LabelRouting, Left(p.service))
		}
	}
	if len(own) > 0 {
		p.Candidates = labels.SelectorFromSet(own)
		return nil
	}
	if designated {
		return refusal(ReasonUnsupportedService, "the selector holds nothing but %s, which the masters of all elections carry; add keys of your own, such as {app: %s}; the Service is left as it is", LabelDesignation, p.service.Name)
	}
	selector, err := annotatedSelector(p.service)
	if err != nil {
		return refusal(ReasonUnsupportedService, "the Service has no selector of its own, and annotation %s: %q is not a label selector, such as \"app=%s\": %s; the Service is left as it is",
			AnnotationSelector, cut(p.service.Annotations[AnnotationSelector]), p.service.Name, cut(err.Error()))
	}
	if _, selectable := selector.Requirements(); !selectable {
		return refusal(ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become master; give it a selector, such as {app: %s}, or the annotation %s: app=%s; the Service is left as it is", p.service.Name, AnnotationSelector, p.service.Name)
	}
	// What the controller has left in the selector is no selector of the user's, but by it
	// Kubernetes goes on to publish.
	p.Candidates, p.Selectorless, p.Routing = selector, len(p.service.Spec.Selector) == 0, RoutingEndpointSlice
	p.byAnnotation = true
	return nil
}
