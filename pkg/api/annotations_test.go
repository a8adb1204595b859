package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// valid is a value of each annotation that is allowed and is not its default.
var valid = map[string]string{
	AnnotationRouting: string(RoutingEndpointSlice), AnnotationLeaseName: "db", AnnotationPrefer: "tier=fast",
	AnnotationFailback: "10m", AnnotationFailoverDelay: "10s", AnnotationPaused: "true",
	AnnotationHandover: HandoverAfterTermination, AnnotationOnDemote: OnDemoteDelete, AnnotationOnCordon: OnCordonStay, AnnotationLeaseDuration: "15s",
	AnnotationProbe: "tcp://:80", AnnotationProbeInterval: "1s", AnnotationProbeTimeout: "1s", AnnotationProbeFailures: "1",
}

// Each entry of the table is tried with its default, with a valid value and with one
// that is not valid.
func TestAnnotations(t *testing.T) {
	for _, a := range Annotations() {
		t.Run(a.Key, func(t *testing.T) {
			if a.Allowed == "" || a.Sentence == "" {
				t.Error("the entry does not say what is allowed, or what the annotation is for")
			}
			switch a.Key {
			case AnnotationServiceMode, AnnotationSelector, AnnotationCandidate, AnnotationPriority:
				return // They decide on more than settings: TestParseRefuses and TestCandidate try them.
			}
			without := func(change ...func(*corev1.Service)) *corev1.Service {
				if a.needs != "" {
					change = append(change, annotated(a.needs, valid[a.needs]))
				}
				return service(change...)
			}
			before, _, _ := Parse(without())

			if a.Default != "" {
				same, problems, _ := Parse(without(annotated(a.Key, a.Default)))
				if diff := cmp.Diff(read(before), read(same)); diff != "" || len(problems) > 0 {
					t.Errorf("problems %v of the default; it changes the settings (-without +with):\n%s", problems, diff)
				}
			}
			asked, problems, _ := Parse(without(annotated(a.Key, valid[a.Key])))
			if diff := cmp.Diff(read(before), read(asked)); diff == "" || len(problems) > 0 {
				t.Errorf("problems %v of %q, or it changes nothing", problems, valid[a.Key])
			}
			if changes := cmp.Diff(read(before).Prefer, read(asked).Prefer) + cmp.Diff(read(before).Rest, read(asked).Rest); changes != "" && a.Key != AnnotationPaused {
				if keys := asked.Differs(before.Election); len(keys) == 0 {
					t.Errorf("Services that share an election do not differ in:\n%s", changes)
				}
			}
			const not = "#"
			if _, problems, _ := Parse(without(annotated(a.Key, not))); len(problems) != 1 || !strings.Contains(problems[0].Message, a.Key+`: "#" `) {
				t.Errorf("problems %v of %q", problems, not)
			}
		})
	}
}

func TestUnknownAnnotation(t *testing.T) {
	tests := map[string]struct{ key, want string }{
		"two letters are in the wrong order": {"qoqo.dev/perfer", "did you mean qoqo.dev/prefer?"},
		"a dash is missing":                  {"qoqo.dev/leasename", "did you mean qoqo.dev/lease-name?"},
		"a dash is an underscore":            {"qoqo.dev/failover_delay", "did you mean qoqo.dev/failover-delay?"},
		"a letter is a capital":              {"qoqo.dev/leaseDuration", "did you mean qoqo.dev/lease-duration?"},
		"a plural is a singular":             {"qoqo.dev/probe-failure", "did you mean qoqo.dev/probe-failures?"},
		"a long name has four typos":         {"qoqo.dev/failure-delays", "did you mean qoqo.dev/failover-delay?"},
		"a short name has three typos":       {"qoqo.dev/handoff", "allowed: " + allowed},
		"the name is another word":           {"qoqo.dev/weight", "allowed: " + allowed},
		"the name is empty":                  {"qoqo.dev/", "allowed: " + allowed},
		"the annotation is for pods":         {AnnotationCandidate, "it belongs on a pod"},
		"the key is one of a label":          {LabelPodUID, "allowed: " + allowed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := []Problem{{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s is not known; %s", test.key, test.want)}}
			_, problems, ok := Parse(service(annotated(test.key, "x")))
			if diff := cmp.Diff(want, problems); diff != "" || !ok {
				t.Errorf("served: %v; problems (-want +got):\n%s", ok, diff)
			}
		})
	}
}

func TestUnknownAnnotationOfAPod(t *testing.T) {
	tests := map[string]struct {
		keys []string
		// meant is the annotation with a typo; empty for no problem.
		meant string
	}{
		"an annotation with a typo is reported":                       {keys: []string{"qoqo.dev/candiate"}, meant: "qoqo.dev/candiate"},
		"the first of several annotations with a typo is reported":    {keys: []string{"qoqo.dev/candidates", "qoqo.dev/candiate"}, meant: "qoqo.dev/candiate"},
		"a typo is not reported beside the correct annotation":        {keys: []string{"qoqo.dev/candiate", AnnotationCandidate}},
		"an annotation of a Service is ignored":                       {keys: []string{AnnotationServiceMode}},
		"an annotation that resembles no known annotation is ignored": {keys: []string{"qoqo.dev/x"}},
		"an annotation of another domain is ignored":                  {keys: []string{"example.com/candiate"}},
		"the controller's own annotation is ignored":                  {keys: []string{AnnotationLeaseTransitions}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Annotations: map[string]string{}}}
			for _, key := range test.keys {
				pod.Annotations[key] = "true"
			}
			var want *Problem
			if test.meant != "" {
				want = &Problem{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s of the pod web-0 is not known; did you mean qoqo.dev/candidate?", test.meant)}
			}
			// The order of a map differs from call to call.
			for range 20 {
				may, problem := Candidate(pod)
				if diff := cmp.Diff(want, problem); diff != "" || !may {
					t.Fatalf("may become master: %v; problem (-want +got):\n%s", may, diff)
				}
			}
		})
	}
}
