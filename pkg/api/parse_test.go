package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// service returns a Service that is annotated, selects app=web and is otherwise as
// change makes it.
func service(change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{AnnotationServiceMode: ModeActiveStandby}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func annotated(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func selecting(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		if s.Spec.Selector == nil {
			s.Spec.Selector = map[string]string{}
		}
		s.Spec.Selector[key] = value
	}
}

func without(s *corev1.Service) { s.Spec.Selector = nil }

// readable is Settings with its selectors as text.
type readable struct {
	LeaseName          string
	Routing            Routing
	Candidates, Prefer string
	Selectorless       bool
	// Rest is what else the Service asks of the election.
	Rest Election
}

// nobody is the text of the selector that matches no pod. Its String is the same as
// that of the selector that matches every pod.
const nobody = "<nobody>"

func read(s Settings) readable {
	text := func(s labels.Selector) string {
		if s == nil {
			return "<nil>"
		}
		if _, selectable := s.Requirements(); !selectable {
			return nobody
		}
		return s.String()
	}
	prefer := text(s.Prefer)
	s.Prefer = nil
	return readable{s.LeaseName, s.Routing, text(s.Candidates), prefer, s.Selectorless, s.Election}
}

func TestParse(t *testing.T) {
	defaults := readable{LeaseName: "web", Routing: RoutingSelector, Candidates: "app=web", Prefer: nobody}
	tests := map[string]struct {
		service  *corev1.Service
		want     readable
		problems []Problem
	}{
		"the mode alone takes all defaults": {
			service: service(),
			want:    defaults,
		},
		"every annotation is followed": {
			service: service(annotated(AnnotationRouting, "selector"), annotated(AnnotationLeaseName, "db.v1"), annotated(AnnotationPrefer, "tier=fast,disk!=slow")),
			want:    readable{LeaseName: "db.v1", Routing: RoutingSelector, Candidates: "app=web", Prefer: "disk!=slow,tier=fast"},
		},
		"the controller's key in the selector does not narrow the candidates": {
			service: service(selecting(LabelPodUID, "some-uid"), selecting("tier", "db"), annotated(AnnotationLeaseTransitions, "4")),
			want:    readable{LeaseName: "web", Routing: RoutingSelector, Candidates: "app=web,tier=db", Prefer: nobody},
		},
		"a selector of the designation asks for routing by label": {
			service: service(selecting(LabelDesignation, DesignationActive)),
			want:    readable{LeaseName: "web", Routing: RoutingLabel, Candidates: "app=web", Prefer: nobody},
		},
		"routing by label leaves out the key of another routing too": {
			service: service(selecting(LabelDesignation, DesignationActive), selecting(LabelPodUID, "some-uid")),
			want:    readable{LeaseName: "web", Routing: RoutingLabel, Candidates: "app=web", Prefer: nobody},
		},
		"a preference for all pods prefers no pod": {
			service: service(annotated(AnnotationPrefer, "")),
			want:    defaults,
		},
		"annotations of other domains are ignored": {
			service: service(annotated("example.com/service-mode", "x"), annotated("qoqo.dev.example.com/routing", "x")),
			want:    defaults,
		},

		"a preference that does not parse prefers no pod": {
			service: service(annotated(AnnotationPrefer, "tier in fast")),
			want:    defaults,
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/prefer: "tier in fast" is not a label selector: ` + parseError("tier in fast") + `; allowed: a label selector, such as "apps.kubernetes.io/pod-index=0" or "tier=fast,disk!=slow"; it is ignored`,
			}},
		},
		"a name that no Lease can have is replaced by the Service's": {
			service: service(annotated(AnnotationLeaseName, "Web_1")),
			want:    defaults,
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/lease-name: "Web_1" is not the name of a Lease: ` + validation.IsDNS1123Subdomain("Web_1")[0] + `; allowed: the name of a Lease: a DNS subdomain; it is ignored`,
			}},
		},
		"an empty Lease's name is replaced by the Service's": {
			service: service(annotated(AnnotationLeaseName, "")),
			want:    defaults,
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/lease-name: "" is not the name of a Lease: ` + validation.IsDNS1123Subdomain("")[0] + `; allowed: the name of a Lease: a DNS subdomain; it is ignored`,
			}},
		},
		"an unknown routing is replaced by the default": {
			service: service(annotated(AnnotationRouting, "dns")),
			want:    defaults,
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/routing: "dns" is not valid; allowed: "selector" or "endpointslice" (for routing by label, put qoqo.dev/pod-designation: active into the selector); "selector" is used`,
			}},
		},
		"an unknown routing is replaced by what the selector chose": {
			service: service(annotated(AnnotationRouting, "dns"), selecting(LabelDesignation, DesignationActive)),
			want:    readable{LeaseName: "web", Routing: RoutingLabel, Candidates: "app=web", Prefer: nobody},
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/routing: "dns" is not valid; allowed: "selector" or "endpointslice" (for routing by label, put qoqo.dev/pod-designation: active into the selector); "label" is used`,
			}},
		},
		"a routing that contradicts the selector is replaced by what the selector chose": {
			service: service(annotated(AnnotationRouting, "selector"), selecting(LabelDesignation, DesignationActive)),
			want:    readable{LeaseName: "web", Routing: RoutingLabel, Candidates: "app=web", Prefer: nobody},
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/routing: "selector" contradicts the selector, which holds qoqo.dev/pod-designation: active; "label" is used; remove one of them`,
			}},
		},
		"own EndpointSlices are chosen by the annotation": {
			service: service(annotated(AnnotationRouting, "endpointslice")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody},
		},
		"own EndpointSlices go with their key in the selector": {
			service: service(annotated(AnnotationRouting, "endpointslice"), selecting(LabelRouting, "endpointslice")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody},
		},
		"the key of own EndpointSlices alone chooses nothing, because the controller may have left it": {
			service: service(selecting(LabelRouting, "endpointslice")),
			want:    defaults,
		},
		"own EndpointSlices can follow routing by label": {
			service: service(annotated(AnnotationRouting, "endpointslice"), selecting(LabelDesignation, DesignationActive)),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody},
		},
		"a Service without selector has one in an annotation, and has own EndpointSlices": {
			service: service(without, annotated(AnnotationSelector, "app=web,tier in (a,b)")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web,tier in (a,b)", Prefer: nobody, Selectorless: true},
		},
		"a Service whose selector holds the controller's keys alone has one in an annotation, and is patched": {
			service: service(without, selecting(LabelPodUID, "uid"), annotated(AnnotationSelector, "app=web")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody},
		},
		"a Service without selector may ask for own EndpointSlices": {
			service: service(without, annotated(AnnotationSelector, "app=web"), annotated(AnnotationRouting, "endpointslice")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody, Selectorless: true},
		},
		"a Service without selector cannot ask for routing by selector": {
			service: service(without, annotated(AnnotationSelector, "app=web"), annotated(AnnotationRouting, "selector")),
			want:    readable{LeaseName: "web", Routing: RoutingEndpointSlice, Candidates: "app=web", Prefer: nobody, Selectorless: true},
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/routing: "selector" needs a selector, and the Service has none; "endpointslice" is used`,
			}},
		},
		"the Service's own selector counts before the annotation": {
			service: service(annotated(AnnotationSelector, "app=db")),
			want:    defaults,
			problems: []Problem{{
				ReasonInvalidAnnotation,
				`annotation qoqo.dev/selector: "app=db" is for a Service without a selector of its own; this Service has app=web, which is used; remove one of them`,
			}},
		},
		"a routing that repeats what the selector chose is no problem": {
			service: service(annotated(AnnotationRouting, "label"), selecting(LabelDesignation, DesignationActive)),
			want:    readable{LeaseName: "web", Routing: RoutingLabel, Candidates: "app=web", Prefer: nobody},
		},
		"unknown annotations are reported in order, and the others are followed": {
			service: service(annotated("qoqo.dev/b", "x"), annotated("qoqo.dev/a", "x"), annotated(AnnotationLeaseName, "db")),
			want:    readable{LeaseName: "db", Routing: RoutingSelector, Candidates: "app=web", Prefer: nobody},
			problems: []Problem{
				{ReasonUnknownAnnotation, "annotation qoqo.dev/a is not known; allowed: " + allowed},
				{ReasonUnknownAnnotation, "annotation qoqo.dev/b is not known; allowed: " + allowed},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.service.DeepCopy()
			settings, problems, ok := Parse(test.service)
			if !ok {
				t.Error("the Service is refused")
			}
			if diff := cmp.Diff(test.want, read(settings)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.problems, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.service); diff != "" {
				t.Errorf("the Service, of an informer's cache, was changed (-before +after):\n%s", diff)
			}
		})
	}
}

const allowed = "qoqo.dev/service-mode, qoqo.dev/routing, qoqo.dev/selector, qoqo.dev/lease-name, qoqo.dev/prefer, " +
	"qoqo.dev/failback, qoqo.dev/failover-delay, qoqo.dev/paused, qoqo.dev/handover, qoqo.dev/on-demote, qoqo.dev/on-cordon, qoqo.dev/lease-duration, " +
	"qoqo.dev/probe, qoqo.dev/probe-interval, qoqo.dev/probe-timeout, qoqo.dev/probe-failures"

func parseError(selector string) string {
	_, err := labels.Parse(selector)
	return err.Error()
}
