package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    Problem
	}{
		"a mode that is not known": {
			service: service(annotated(AnnotationServiceMode, "active-active")),
			want:    Problem{ReasonUnknownServiceMode, `annotation qoqo.dev/service-mode: "active-active" is not known, allowed is "active-standby"; the Service is left as it is`},
		},
		"an empty mode": {
			service: service(annotated(AnnotationServiceMode, "")),
			want:    Problem{ReasonUnknownServiceMode, `annotation qoqo.dev/service-mode: "" is not known, allowed is "active-standby"; the Service is left as it is`},
		},
		"a Service without pods": {
			service: service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }),
			want:    Problem{ReasonUnsupportedService, "a Service of type ExternalName has no pods; allowed are ClusterIP, NodePort and LoadBalancer"},
		},
		"a Service without selector": {
			service: service(func(s *corev1.Service) { s.Spec.Selector = nil }),
			want:    Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become its master; give it one, such as {app: web}, or the annotation qoqo.dev/selector: app=web"},
		},
		"a selector of nothing but the controller's keys": {
			service: service(func(s *corev1.Service) {
				s.Spec.Selector = map[string]string{LabelPodUID: NoPod, LabelDesignation: DesignationActive}
			}),
			want: Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become its master; give it one, such as {app: web}, or the annotation qoqo.dev/selector: app=web"},
		},
		"a selector of the standbys": {
			service: service(selecting(LabelDesignation, DesignationStandby)),
			want: Problem{
				ReasonForeignSelectorKey,
				`selector qoqo.dev/pod-designation: "standby" cannot be served, allowed is "active"; remove the key, or the annotation qoqo.dev/service-mode`,
			},
		},
		"a selector with a key of ours that is not known, the first in order": {
			service: service(selecting("qoqo.dev/zone", "a"), selecting("qoqo.dev/rack", "b")),
			want: Problem{
				ReasonForeignSelectorKey,
				`selector qoqo.dev/rack: "b" is not the controller's; keys of qoqo.dev allowed in a selector are qoqo.dev/pod-uid, qoqo.dev/pod-designation and qoqo.dev/routing`,
			},
		},
		"a selector with another value of the key of routing by EndpointSlice": {
			service: service(selecting(LabelRouting, "selector")),
			want:    Problem{ReasonForeignSelectorKey, `selector qoqo.dev/routing: "selector" cannot be served, allowed is "endpointslice"; remove the key, or the annotation qoqo.dev/service-mode`},
		},
		"neither a selector nor one in the annotation that parses": {
			service: service(without, annotated(AnnotationSelector, "app in web")),
			want: Problem{
				ReasonUnsupportedService,
				`the Service has no selector of its own, and annotation qoqo.dev/selector: "app in web" is not a label selector, such as "app=web": ` + parseError("app in web") + `; the Service is left as it is`,
			},
		},
		"neither a selector nor one in the annotation that is for some pods only": {
			service: service(without, annotated(AnnotationSelector, "")),
			want:    Problem{ReasonUnsupportedService, "the Service has no selector of its own, so no pod can become its master; give it one, such as {app: web}, or the annotation qoqo.dev/selector: app=web"},
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
			if diff := cmp.Diff(read(Settings{}), read(settings)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}
