package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	// selector without the controller's keys, or that of AnnotationSelector.
	Candidates labels.Selector
	// Selectorless: the Service has no selector of its own, and is never patched.
	Selectorless bool
	Election
}

// Election is what a Service asks of the election that it takes part in. Of several
// Services the one's counts that has the Lease's name, or else the oldest one's; and of
// all of them whether it is Paused.
type Election struct {
	// Prefer selects the preferred ones among the candidates; by default nobody.
	Prefer labels.Selector
	Probe  Probe
	// Failback is how long a preferred pod must have been Ready, and the master been
	// master, for the master to move back to it; nil for never.
	Failback *time.Duration
	// FailoverDelay is how long a master is waited for that is not eligible, but exists.
	FailoverDelay time.Duration
	// Paused: whoever is master by the Lease stays it.
	Paused bool
	// AfterTermination: nobody is elected before the former master has stopped.
	AfterTermination bool
	// DeleteDemoted: the pod that is no longer master, or is to make room for the next,
	// is deleted.
	DeleteDemoted bool
	// LeaseDuration is for how long the Lease is valid after a heartbeat, in whole
	// seconds; 0 for ever, and then there is none.
	LeaseDuration time.Duration
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
	ReasonUnknownServiceMode   = "UnknownServiceMode"
	ReasonUnsupportedService   = "UnsupportedService"
	ReasonForeignSelectorKey   = "ForeignSelectorKey"
	ReasonInvalidAnnotation    = "InvalidAnnotation"
	ReasonUnknownAnnotation    = "UnknownAnnotation"
	ReasonOverlappingElection  = "OverlappingElection"
	ReasonForeignEndpointSlice = "ForeignEndpointSlice"
	ReasonProbeUnanswered      = "ProbeUnanswered"
	ReasonDifferingSettings    = "DifferingSettings"
	ReasonNoCommonCandidate    = "NoCommonCandidate"
)

// Parse reads the settings of a Service that is Annotated. The Service is
// served when ok is true; problems may be non-empty all the same, where a
// default stands in for a value that does not parse.
func Parse(service *corev1.Service) (settings Settings, problems []Problem, ok bool) {
	p := parser{service: service}
	p.LeaseName, p.Prefer = LeaseName(service), labels.Nothing()
	if refused := p.mode(); refused != nil {
		return Settings{}, []Problem{*refused}, false
	}
	if refused := p.selector(); refused != nil {
		return Settings{}, []Problem{*refused}, false
	}
	p.annotations()
	p.probe()
	p.election()
	return p.Settings, p.problems, true
}

// parser reads the Service into Settings; its methods are called in the order in
// which Parse does.
type parser struct {
	Settings
	service  *corev1.Service
	problems []Problem
}

func refusal(reason, format string, args ...any) *Problem {
	return &Problem{reason, fmt.Sprintf(format, args...)}
}

func (p *parser) invalid(key, format string, args ...any) {
	p.problems = append(p.problems, Problem{
		ReasonInvalidAnnotation, fmt.Sprintf("annotation %s: %q ", key, p.service.Annotations[key]) + fmt.Sprintf(format, args...),
	})
}

func (p *parser) mode() (refused *Problem) {
	if mode := p.service.Annotations[AnnotationServiceMode]; mode != ModeActiveStandby {
		return refusal(ReasonUnknownServiceMode, "annotation %s: %q is not known, allowed is %q; the Service is left as it is", AnnotationServiceMode, mode, ModeActiveStandby)
	}
	if p.service.Spec.Type == corev1.ServiceTypeExternalName {
		return refusal(ReasonUnsupportedService, "a Service of type ExternalName has no pods; allowed are ClusterIP, NodePort and LoadBalancer")
	}
	return nil
}

// selector finds out whom to elect from, and which routing the selector implies.
func (p *parser) selector() (refused *Problem) {
	p.Routing = RoutingSelector
	own := maps.Clone(p.service.Spec.Selector)
	delete(own, LabelPodUID)
	if routing, found := own[LabelRouting]; found {
		if Routing(routing) != RoutingEndpointSlice {
			return refusal(ReasonForeignSelectorKey, "selector %s: %q cannot be served, allowed is %q; remove the key, or the annotation %s", LabelRouting, routing, RoutingEndpointSlice, AnnotationServiceMode)
		}
		delete(own, LabelRouting)
	}
	if designation, found := own[LabelDesignation]; found {
		if designation != DesignationActive {
			return refusal(ReasonForeignSelectorKey, "selector %s: %q cannot be served, allowed is %q; remove the key, or the annotation %s", LabelDesignation, designation, DesignationActive, AnnotationServiceMode)
		}
		p.Routing = RoutingLabel
		delete(own, LabelDesignation)
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if ours(key) {
			return refusal(ReasonForeignSelectorKey, "selector %s: %q is not the controller's; keys of %s allowed in a selector are %s, %s and %s", key, own[key], Domain, LabelPodUID, LabelDesignation, LabelRouting)
		}
	}
	if len(own) > 0 {
		p.Candidates = labels.SelectorFromSet(own)
		return nil
	}
	selector, err := annotatedSelector(p.service)
	if err != nil {
		return refusal(ReasonUnsupportedService, "the Service has no selector of its own, and annotation %s: %q is not a label selector, such as \"app=%s\": %v; the Service is left as it is",
			AnnotationSelector, p.service.Annotations[AnnotationSelector], p.service.Name, err)
	}
	if _, selectable := selector.Requirements(); !selectable {
		return refusal(ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become its master; give it one, such as {app: %s}, or the annotation %s: app=%s", p.service.Name, AnnotationSelector, p.service.Name)
	}
	p.Candidates, p.Selectorless, p.Routing = selector, true, RoutingEndpointSlice
	return nil
}

// annotations reads all but those of the probe and of the moves.
func (p *parser) annotations() {
	for _, key := range slices.Sorted(maps.Keys(p.service.Annotations)) {
		value := p.service.Annotations[key]
		switch key {
		case AnnotationRouting:
			p.routing(Routing(value))
		case AnnotationSelector:
			if !p.Selectorless {
				p.invalid(key, "is for a Service without a selector of its own, and this one has %s, which is used; remove one of them", p.Candidates)
			}
		case AnnotationLeaseName:
			if errs := validation.IsDNS1123Subdomain(value); len(errs) > 0 {
				p.invalid(key, "is not a Lease's name: %s; the Service's name %q is used", errs[0], p.service.Name)
			}
		case AnnotationPrefer:
			selector, err := labels.Parse(value)
			if err != nil {
				p.invalid(key, "is not a label selector, such as \"tier=fast,disk!=slow\": %v; no pod is preferred", err)
			} else if !selector.Empty() {
				p.Prefer = selector
			}
		default:
			if ours(key) && key != AnnotationLeaseTransitions && !slices.Contains(userAnnotations, key) {
				p.problems = append(p.problems, Problem{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s is not known; allowed are %s", key, strings.Join(userAnnotations, ", "))})
			}
		}
	}
}

// routing follows the annotation where the selector leaves a choice. Own
// EndpointSlices are possible with any.
func (p *parser) routing(asked Routing) {
	switch {
	case asked == p.Routing:
	case asked == RoutingEndpointSlice:
		p.Routing = asked
	case asked == RoutingSelector && p.Selectorless:
		p.invalid(AnnotationRouting, "needs a selector, which the Service has not; %q is used", p.Routing)
	case asked == RoutingSelector:
		p.invalid(AnnotationRouting, "contradicts the selector, which holds %s: %s; %q is used, remove one of them", LabelDesignation, DesignationActive, p.Routing)
	default:
		p.invalid(AnnotationRouting, "is not known, allowed are %q and %q (for routing by label, put %s: %s into the selector); %q is used", RoutingSelector, RoutingEndpointSlice, LabelDesignation, DesignationActive, p.Routing)
	}
}

var userAnnotations = []string{
	AnnotationServiceMode, AnnotationRouting, AnnotationSelector, AnnotationLeaseName, AnnotationPrefer, AnnotationFailback,
	AnnotationFailoverDelay, AnnotationPaused, AnnotationHandover, AnnotationOnDemote, AnnotationLeaseDuration,
	AnnotationProbe, AnnotationProbeInterval, AnnotationProbeTimeout, AnnotationProbeFailures,
}
