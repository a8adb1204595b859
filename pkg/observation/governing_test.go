package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestGoverningService(t *testing.T) {
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	named := func(subdomain string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = p.Name, subdomain }
	}
	withoutHostname := func(p *corev1.Pod) { p.Spec.Subdomain = "a" }
	problem := []api.Problem{{Reason: "GoverningService", Message: "this Service gives its pods DNS names, such as db-0.a, as the governing Service of a StatefulSet does (spec.subdomain); " +
		"while it is annotated, only the master has such a name; remove qoqo.dev/service-mode, and annotate another headless Service"}}
	tests := map[string]struct {
		services []*corev1.Service
		pods     []*corev1.Pod
		// want are the problems of the Service a.
		want []api.Problem
	}{
		"the governing Service of a StatefulSet": {
			services: []*corev1.Service{service("a", headless)}, pods: []*corev1.Pod{pod("db-1", named("a")), pod("db-0", named("a"))}, want: problem,
		},
		"the governing Service shares the Lease of another Service": {
			services: []*corev1.Service{service("a", headless), service("b")}, pods: []*corev1.Pod{pod("db-0", named("a"))}, want: problem,
		},
		"another headless Service of a StatefulSet": {
			services: []*corev1.Service{service("a", headless)}, pods: []*corev1.Pod{pod("db-0", named("db-nodes"))},
		},
		"a Service with an address gives its pods no names": {
			services: []*corev1.Service{service("a", func(s *corev1.Service) { s.Spec.ClusterIP = "10.0.0.1" })}, pods: []*corev1.Pod{pod("db-0", named("a"))},
		},
		"a pod without a hostname has no name": {
			services: []*corev1.Service{service("a", headless)}, pods: []*corev1.Pod{pod("db-0", withoutHostname)},
		},
		"a pod of another Service": {
			services: []*corev1.Service{service("a", headless)}, pods: []*corev1.Pod{pod("db-0", named("a"), labelled("app", "db"))},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Look(Inputs{Key: web, Now: start, Services: test.services, Pods: test.pods})
			if diff := cmp.Diff(test.want, o.Problems["uid-a"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
