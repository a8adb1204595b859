package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// long is as long as the API server lets all annotations of an object be.
var long = strings.Repeat("a", 250<<10)

func TestLongValues(t *testing.T) {
	for _, a := range annotations {
		if a.read == nil {
			continue
		}
		t.Run("a long value counts as one that is not valid: "+a.Key, func(t *testing.T) {
			asking := func(value string) *corev1.Service {
				return service(annotated(AnnotationProbe, "tcp://:1"), annotated(AnnotationPrefer, "a"), annotated(a.Key, value))
			}
			want, _, _ := Parse(asking("\x00"))
			got, problems, ok := Parse(asking(long))
			if !ok {
				t.Error("the Service is not served")
			}
			if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool {
				return strings.HasPrefix(p.Message, "annotation "+a.Key+`: "aaa`) && strings.Contains(p.Message, "is longer than 1024 bytes") && len(p.Message) < 1024
			}) {
				t.Errorf("problems %.2000v, want one that names the annotation and the limit", problems)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	without := func(s *corev1.Service) { s.Spec.Selector = nil }
	t.Run("a Service with a long selector annotation is not served", func(t *testing.T) {
		s := service(without, annotated(AnnotationSelector, long))
		_, problems, ok := Parse(s)
		if ok || len(problems) != 1 || !strings.Contains(problems[0].Message, "it is longer than 1024 bytes") || len(problems[0].Message) > 1024 {
			t.Errorf("served %v, problems %.2000v", ok, problems)
		}
		if Selects(s, labels.Set{long: ""}) {
			t.Error("the Service selects a pod")
		}
	})
	t.Run("a value of the greatest length is read", func(t *testing.T) {
		key := "a!=" + strings.Repeat("b", 63) + ","
		value := strings.Repeat(key, MaxValue/len(key))
		value += "c!=" + strings.Repeat("d", MaxValue-len(value)-3)
		if s, problems, ok := Parse(service(without, annotated(AnnotationSelector, value))); !ok || s.Candidates.Empty() || len(value) != MaxValue {
			t.Errorf("%d bytes: served %v, problems %v", len(value), ok, problems)
		}
	})
	t.Run("the problem of a pod's long annotation is short", func(t *testing.T) {
		_, problem := Candidate(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Annotations: map[string]string{AnnotationCandidate: strings.Repeat("\x01", 250<<10)}}})
		if problem == nil || len(problem.Message) > 1024 {
			t.Errorf("problem of %d bytes", len(problem.Message))
		}
	})
	t.Run("of many unknown annotations the first ten are reported", func(t *testing.T) {
		s := service()
		for i := range 1000 {
			s.Annotations[fmt.Sprintf("%s/unknown-%03d", Domain, i)] = ""
		}
		_, problems, _ := Parse(s)
		if len(problems) != maxUnknown+1 || problems[maxUnknown].Message != "more than 10 annotations of qoqo.dev are not known" {
			t.Errorf("%d problems, the last %v", len(problems), problems[len(problems)-1])
		}
	})
}

func TestKept(t *testing.T) {
	s := service(annotated("kubectl.kubernetes.io/last-applied-configuration", long), annotated(AnnotationPrefer, long), annotated(AnnotationPaused, "true"))
	for i := range 1000 {
		s.Annotations[fmt.Sprintf("%s/unknown-%03d", Domain, i)] = long[:100]
	}
	kept := s.DeepCopy()
	kept.Annotations = Kept(s.Annotations)
	size := 0
	for key, value := range kept.Annotations {
		size += len(key) + len(value)
	}
	if size > 4<<10 {
		t.Errorf("%d bytes are kept", size)
	}
	want, wantProblems, _ := Parse(s)
	got, problems, _ := Parse(kept)
	if diff := cmp.Diff(fmt.Sprint(want, wantProblems), fmt.Sprint(got, problems)); diff != "" {
		t.Errorf("what is kept reads otherwise (-want +got):\n%s", diff)
	}
	if Kept(map[string]string{"a": "b"}) != nil {
		t.Error("annotations of others are kept")
	}
	for key := range maps.Keys(service().Annotations) {
		if _, found := kept.Annotations[key]; !found {
			t.Errorf("%s is not kept", key)
		}
	}
}

func TestSelectorsAreParsedOnce(t *testing.T) {
	s := service(func(s *corev1.Service) { s.Spec.Selector = nil }, annotated(AnnotationSelector, "app=web,tier in (a,b,c),!x,!y"))
	pod := labels.Set{"app": "web", "tier": "b"}
	if allocations := testing.AllocsPerRun(100, func() {
		if !Selects(s, pod) {
			t.Error("the pod is not selected")
		}
	}); allocations > 0 {
		t.Errorf("%v allocations for each pair of a Service and a pod", allocations)
	}
	for i := range 3 * maxParsed {
		if _, err := parseSelector(fmt.Sprint("app=", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(selectors.parsed); n > maxParsed {
		t.Errorf("%d selectors are remembered", n)
	}
}
