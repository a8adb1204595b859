package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestLint(t *testing.T) {
	tests := map[string]struct {
		kind        string
		annotations map[string]string
		want        []string
	}{
		"annotations of others are theirs": {ObjectService, map[string]string{"example.com/service-mode": "x"}, nil},
		"a Service with a misspelt mode": {ObjectService, map[string]string{"qoqo.dev/servicemode": ModeActiveStandby}, []string{
			"annotation qoqo.dev/servicemode is not known; did you mean qoqo.dev/service-mode?",
		}},
		"a Service with settings and no mode": {ObjectService, map[string]string{AnnotationRouting: "endpointslice", AnnotationPaused: "x"}, []string{
			`annotation qoqo.dev/routing: "endpointslice" has no effect without the annotation qoqo.dev/service-mode: active-standby`,
			`annotation qoqo.dev/paused: "x" has no effect without the annotation qoqo.dev/service-mode: active-standby`,
		}},
		"an annotated Service has unknown keys, and Parse reads the values": {ObjectService, map[string]string{AnnotationServiceMode: "x", "qoqo.dev/failbak": "x"}, []string{
			"annotation qoqo.dev/failbak is not known; did you mean qoqo.dev/failback?",
		}},
		"a Service as the controller has written it":  {ObjectService, map[string]string{AnnotationServiceMode: ModeActiveStandby, AnnotationLeaseTransitions: "3"}, nil},
		"a pod as the controller has written it":      {ObjectPod, map[string]string{AnnotationLeaseTransitions: "3", AnnotationWitness: "uid@3"}, nil},
		"a Lease as the controller has written it":    {ObjectLease, map[string]string{AnnotationHolderUID: "uid", AnnotationHandover: HandoverAfterTermination}, nil},
		"a pod's annotation with a value that is bad": {ObjectPod, map[string]string{AnnotationCandidate: "nope"}, []string{`annotation qoqo.dev/candidate: "nope" is not valid; allowed: "true" or "false"; "true" is used`}},
		"a pod with a priority that is no number":     {ObjectPod, map[string]string{AnnotationPriority: "high"}, []string{`annotation qoqo.dev/priority: "high" is not valid; allowed: a whole number of 64 bits, such as "100" or "-1"; "0" is used`}},
		"a pod with a priority":                       {ObjectPod, map[string]string{AnnotationPriority: "-7"}, nil},
		"a Service with a priority":                   {ObjectService, map[string]string{AnnotationPriority: "1"}, []string{"annotation qoqo.dev/priority is not known; it belongs on a pod"}},
		"a pod with what belongs on a Service": {ObjectPod, map[string]string{AnnotationCandidate: "false", AnnotationPrefer: "a=b", "qoqo.dev/candidat": "false", "qoqo.dev/x-y-z-x-y-z": ""}, []string{
			"annotation qoqo.dev/candidat is not known; did you mean qoqo.dev/candidate?",
			"annotation qoqo.dev/prefer is not known; it belongs on a Service",
			"annotation qoqo.dev/x-y-z-x-y-z is not known; allowed: qoqo.dev/candidate, qoqo.dev/priority",
		}},
		"a Service with what belongs on a pod": {ObjectService, map[string]string{AnnotationServiceMode: ModeActiveStandby, AnnotationCandidate: "false"}, []string{
			"annotation qoqo.dev/candidate is not known; it belongs on a pod",
		}},
		"another object": {"Deployment", map[string]string{AnnotationCandidate: "false", AnnotationServiceMode: ModeActiveStandby, "qoqo.dev/own": "x"}, []string{
			"annotation qoqo.dev/candidate is not known; it belongs on a pod",
			"annotation qoqo.dev/own is not known; the annotations of qoqo.dev belong on a Service or a pod",
			"annotation qoqo.dev/service-mode is not known; it belongs on a Service",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range Lint(test.kind, test.annotations) {
				got = append(got, p.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMisspeltMode(t *testing.T) {
	tests := map[string]struct {
		annotations map[string]string
		want        string
	}{
		"no annotation":                         {nil, ""},
		"the annotation":                        {map[string]string{AnnotationServiceMode: "x", "qoqo.dev/servicemode": "x"}, ""},
		"a misspelt annotation":                 {map[string]string{"qoqo.dev/servicemode": "x", AnnotationPrefer: "a=b"}, "qoqo.dev/servicemode"},
		"the first of two":                      {map[string]string{"qoqo.dev/service_mode": "x", "qoqo.dev/servicemode": "x"}, "qoqo.dev/service_mode"},
		"another misspelt annotation":           {map[string]string{"qoqo.dev/failbak": "never"}, ""},
		"settings of a Service that opted out":  {map[string]string{AnnotationFailback: "never", AnnotationLeaseTransitions: "3"}, ""},
		"an annotation that resembles no other": {map[string]string{"qoqo.dev/owner": "x", "example.com/service-mod": "x"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := MisspeltMode(service(func(s *corev1.Service) { s.Annotations = test.annotations })); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
