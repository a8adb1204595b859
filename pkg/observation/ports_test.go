package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// targeting gives a Service a port.
func targeting(port intstr.IntOrString) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: port})
	}
}

// exposing gives a pod a container with a port.
func exposing(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Ports: []corev1.ContainerPort{{Name: name, ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}})
	}
}

func TestPodsWithoutThePort(t *testing.T) {
	const exporter = "exporter cannot become master: other pods have a container port named http; let the selector leave such pods out, or annotate them with qoqo.dev/candidate: false"
	http, metrics := targeting(intstr.FromString("http")), targeting(intstr.FromString("metrics"))
	finished := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	terminating := func(p *corev1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }
	notReady := func(p *corev1.Pod) { p.Status.Conditions = nil }
	tests := map[string]struct {
		services []*corev1.Service
		pods     []*corev1.Pod
		// portless are the names of the pods that cannot be master.
		portless []string
		problems []string
	}{
		"every pod has the port": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("web-1", exposing("http"))},
		},
		"a number needs no container port": {
			services: []*corev1.Service{service("a", targeting(intstr.FromInt32(8080)))}, pods: []*corev1.Pod{pod("web-0"), pod("web-1", exposing("http"))},
		},
		"a Service without ports needs none": {
			services: []*corev1.Service{service("a")}, pods: []*corev1.Pod{pod("web-0"), pod("web-1", exposing("http"))},
		},
		"one of two ports suffices": {
			services: []*corev1.Service{service("a", http, metrics)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("web-1", exposing("metrics"))},
		},
		"a pod has another port": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("exporter", exposing("metrics"))},
			portless: []string{"exporter"}, problems: []string{exporter},
		},
		"a pod has no port, and the pod that has it is not Ready": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http"), notReady), pod("exporter")},
			portless: []string{"exporter"}, problems: []string{exporter},
		},
		"a pod has no port, and is kept from being master anyway": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("exporter", annotated(api.AnnotationCandidate, "false"))},
			portless: []string{"exporter"},
		},
		"no pod has the port": {
			services: []*corev1.Service{service("a", http, metrics)}, pods: []*corev1.Pod{pod("web-0"), pod("web-1")},
			problems: []string{"no pod has a container port named http or metrics, so the Service's endpoint has no port; correct targetPort, or name the container's port"},
		},
		"there is no pod": {services: []*corev1.Service{service("a", http)}},
		"a pod that has ended counts neither way": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("web-1", finished)},
		},
		"the port of a pod that has ended or terminates does not count": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0"), pod("web-1", exposing("http"), finished), pod("web-2", exposing("http"), terminating)},
			problems: []string{"no pod has a container port named http, so the Service's endpoint has no port; correct targetPort, or name the container's port"},
		},
		"many pods have no port": {
			services: []*corev1.Service{service("a", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("d"), pod("c"), pod("b"), pod("e"), pod("a")},
			portless: []string{"a", "b", "c", "d", "e"},
			problems: []string{"a, b, c and 2 more cannot become master: other pods have a container port named http; let the selector leave such pods out, or annotate them with qoqo.dev/candidate: false"},
		},
		"of two Services that share a Lease, the younger names a port that one pod has": {
			services: []*corev1.Service{service("a", targeting(intstr.FromInt32(8080))), service("b", http)}, pods: []*corev1.Pod{pod("web-0", exposing("http")), pod("exporter")},
			portless: []string{"exporter"}, problems: []string{exporter},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := looked(nil, test.services, test.pods)
			portless := map[string]bool{}
			for _, c := range o.View().Candidates {
				if c.Portless {
					portless[c.Name] = true
				}
			}
			want := map[string]bool{}
			for _, name := range test.portless {
				want[name] = true
			}
			if diff := cmp.Diff(want, portless); diff != "" {
				t.Errorf("pods that cannot be master (-want +got):\n%s", diff)
			}
			var problems []string
			for _, s := range test.services {
				for _, p := range o.Problems[s.UID] {
					problems = append(problems, p.Message)
				}
			}
			if diff := cmp.Diff(test.problems, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
