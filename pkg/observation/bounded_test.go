package observation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Pods of one Service with annotations that are as long as the API server lets them be.
func TestManyPodsWithLongAnnotations(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 200 {
		pods = append(pods, pod(fmt.Sprintf("web-%03d", i), func(p *corev1.Pod) { p.Annotations[api.AnnotationCandidate] = strings.Repeat("\x01", 250<<10) }))
	}
	s := service("web")
	problems := Look(Inputs{Key: web, Services: []*corev1.Service{s}, Pods: pods}).Problems[s.UID]
	if len(problems) != maxProblems+1 || !strings.Contains(problems[0].Message, "web-000") || problems[maxProblems].Message != "there are more problems of this kind than the 10 that are reported" {
		t.Errorf("%d problems: %.3000v", len(problems), problems)
	}
	slices.Reverse(pods)
	if again := Look(Inputs{Key: web, Services: []*corev1.Service{s}, Pods: pods}).Problems[s.UID]; !slices.Equal(again, problems) {
		t.Errorf("in another order there are other problems: %.3000v", again)
	}
}

// BenchmarkLookAmongNeighbours measures a look at one election of a namespace in which every Service selects all
// pods, by its selector or by an annotation, or only its own pods.
func BenchmarkLookAmongNeighbours(b *testing.B) {
	var requirements []string
	for i := range 180 {
		requirements = append(requirements, fmt.Sprintf("!k%d", i))
	}
	value := strings.Join(requirements, ",")
	for _, bench := range []struct {
		name   string
		change func(i int) func(*corev1.Service)
	}{
		{"own", func(i int) func(*corev1.Service) { return selecting("app", fmt.Sprint("app-", i)) }},
		{"shared", func(int) func(*corev1.Service) { return func(*corev1.Service) {} }},
		{"annotation", func(int) func(*corev1.Service) {
			return func(s *corev1.Service) {
				s.Spec.Selector = nil
				s.Annotations[api.AnnotationSelector] = value
			}
		}},
	} {
		for _, n := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/services=%d", bench.name, n), func(b *testing.B) {
				in := Inputs{Key: web}
				for i := range n {
					name := fmt.Sprintf("s-%04d", i)
					in.Services = append(in.Services, service(name, asking(api.AnnotationLeaseName, name), bench.change(i)))
					for j := range 3 {
						in.Pods = append(in.Pods, pod(fmt.Sprint(name, "-", j), func(p *corev1.Pod) { p.Labels["app"] = "web" }))
					}
				}
				in.Services = append(in.Services, service("web", bench.change(0)))
				for i := range 3 {
					in.Pods[i].Labels["app"] = in.Services[n].Spec.Selector["app"]
				}
				b.ResetTimer()
				for range b.N {
					Look(in)
				}
			})
		}
	}
}
