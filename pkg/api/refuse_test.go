package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestLeft(t *testing.T) {
	const left = "the Service is left as it is: "
	tests := map[string]struct {
		selector map[string]string
		want     string
	}{
		"a new Service":                 {map[string]string{"app": "web"}, left + "all Ready pods that its selector matches get traffic"},
		"a Service that is closed":      {map[string]string{"app": "web", LabelPodUID: NoPod}, left + "no pod gets traffic"},
		"a Service that has a master":   {map[string]string{"app": "web", LabelPodUID: "uid-0"}, left + "traffic stays with the pod that was master last, even if that fails"},
		"a Service with its own slices": {map[string]string{"app": "web", LabelRouting: "endpointslice"}, left + "traffic stays with the pod that was master last, even if that fails"},
		"a Service routed by label":     {map[string]string{"app": "web", LabelDesignation: DesignationActive}, left + "traffic stays with the pods that are labelled qoqo.dev/pod-designation: active, even if they fail"},
		"a Service without a selector":  {nil, left + "its EndpointSlices stay as they are"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Left(service(func(s *corev1.Service) { s.Spec.Selector = test.selector })); got != test.want {
				t.Errorf("%s; want %s", got, test.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    Problem
	}{
		"an unknown mode": {
			service: service(annotated(AnnotationServiceMode, "active-active")),
			want:    Problem{ReasonUnknownServiceMode, `annotation qoqo.dev/service-mode: "active-active" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic`},
		},
		"an empty mode": {
			service: service(annotated(AnnotationServiceMode, "")),
			want:    Problem{ReasonUnknownServiceMode, `annotation qoqo.dev/service-mode: "" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic`},
		},
		"a Service without pods": {
			service: service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }),
			want:    Problem{ReasonUnsupportedService, "a Service of type ExternalName has no pods; allowed: ClusterIP, NodePort and LoadBalancer; the Service is left as it is"},
		},
		"a Service without selector": {
			service: service(func(s *corev1.Service) { s.Spec.Selector = nil }),
			want:    Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become master; give it a selector, such as {app: web}, or the annotation qoqo.dev/selector: app=web; the Service is left as it is"},
		},
		"a selector of the designation alone": {
			service: service(annotated(AnnotationSelector, "app=web"), func(s *corev1.Service) {
				s.Spec.Selector = map[string]string{LabelPodUID: NoPod, LabelDesignation: DesignationActive}
			}),
			want: Problem{ReasonUnsupportedService, "the selector holds nothing but qoqo.dev/pod-designation, which the masters of all elections carry; add keys of your own, such as {app: web}; the Service is left as it is"},
		},
		"a selector of the controller's keys alone": {
			service: service(func(s *corev1.Service) {
				s.Spec.Selector = map[string]string{LabelPodUID: NoPod, LabelRouting: string(RoutingEndpointSlice)}
			}),
			want: Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become master; give it a selector, such as {app: web}, or the annotation qoqo.dev/selector: app=web; the Service is left as it is"},
		},
		"a selector of the standbys": {
			service: service(selecting(LabelDesignation, DesignationStandby)),
			want: Problem{
				ReasonForeignSelectorKey,
				`selector qoqo.dev/pod-designation: "standby" is not valid; allowed: "active"; remove the key, or the annotation qoqo.dev/service-mode; the Service is left as it is: all Ready pods that its selector matches get traffic`,
			},
		},
		"a selector with unknown keys of the domain, of which the first is named": {
			service: service(selecting("qoqo.dev/zone", "a"), selecting("qoqo.dev/rack", "b")),
			want: Problem{
				ReasonForeignSelectorKey,
				`selector qoqo.dev/rack: "b" is not known; allowed keys of qoqo.dev: qoqo.dev/pod-uid, qoqo.dev/pod-designation and qoqo.dev/routing; the Service is left as it is: all Ready pods that its selector matches get traffic`,
			},
		},
		"a selector with another value of the key of routing by EndpointSlice": {
			service: service(selecting(LabelRouting, "selector")),
			want:    Problem{ReasonForeignSelectorKey, `selector qoqo.dev/routing: "selector" is not valid; allowed: "endpointslice"; remove the key, or the annotation qoqo.dev/service-mode; the Service is left as it is: traffic stays with the pod that was master last, even if that fails`},
		},
		"an annotation that is no selector, on a Service without selector": {
			service: service(without, annotated(AnnotationSelector, "app in web")),
			want: Problem{
				ReasonUnsupportedService,
				`the Service has no selector of its own, and annotation qoqo.dev/selector: "app in web" is not a label selector, such as "app=web": ` + parseError("app in web") + `; the Service is left as it is`,
			},
		},
		"an annotation that selects all pods, on a Service without selector": {
			service: service(without, annotated(AnnotationSelector, "")),
			want:    Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become master; give it a selector, such as {app: web}, or the annotation qoqo.dev/selector: app=web; the Service is left as it is"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			settings, problems, ok := Parse(test.service)
			if ok {
				t.Error("the Service is served")
			}
			if diff := cmp.Diff([]Problem{test.want}, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(read(Settings{Election: Election{Prefer: labels.Nothing()}}), read(settings)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReadsWhatARefusedServiceAsksOfItsElection(t *testing.T) {
	s := asking(AnnotationServiceMode, "actve-standby", AnnotationHandover, "after-termination", AnnotationLeaseDuration, "15s", AnnotationPaused, "x")
	settings, _, ok := Parse(s)
	if ok {
		t.Error("the Service is served")
	}
	if diff := cmp.Diff(Election{AfterTermination: true, LeaseDuration: 15 * time.Second, Paused: true}, read(settings).Rest); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
