//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// manifest is a Service as users keep it in Git. It does not name the controller's key.
func (s *scene) manifest(name string, port int32) *corev1apply.ServiceApplyConfiguration {
	return corev1apply.Service(name, s.namespace).
		WithAnnotations(map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}).
		WithSpec(corev1apply.ServiceSpec().WithSelector(map[string]string{"app": "web"}).
			WithPorts(corev1apply.ServicePort().WithPort(port).WithTargetPort(intstr.FromInt32(8080))))
}

// apply applies a manifest on the server, without force, as Helm 4 does.
func (s *scene) apply(name string, port int32) {
	s.Helper()
	_, err := client.CoreV1().Services(s.namespace).Apply(s.Context(), s.manifest(name, port), metav1.ApplyOptions{FieldManager: "helm"})
	if err != nil {
		s.Fatalf("applying Service %s: %v", name, err)
	}
}

// disowned waits until the controller has left the selector.
func (s *scene) disowned(name string) {
	s.Helper()
	s.eventually("the selector of "+name+" is disowned", func() error {
		for _, e := range s.getService(name).ManagedFields {
			if fields := e.FieldsV1.GetRawString(); e.Manager == api.ManagedBy && strings.Contains(fields, `"f:selector"`) {
				return fmt.Errorf("the controller owns %s", fields)
			}
		}
		return nil
	})
}

// A server-side apply of an unchanged manifest, and of a changed one, meets no conflict after a
// switch, whichever the routing.
func TestServerSideApply(t *testing.T) {
	t.Parallel()
	for _, routing := range []string{string(api.RoutingSelector), string(api.RoutingEndpointSlice)} {
		t.Run(routing, func(t *testing.T) {
			t.Parallel()
			// Without the admission policy an apply opens the Service for a moment: no guard.
			s := newNamespace(t)
			s.readyPods("web-0", "web-1")
			s.apply("web", 80)
			s.annotate("web", api.AnnotationRouting, &routing)
			s.awaitMaster("web", "web-0", 1)
			s.editHolder("web", "web-1")
			for _, port := range []int32{80, 80, 8080} {
				s.awaitMaster("web", "web-1", 2)
				s.disowned("web")
				s.apply("web", port)
			}
			s.awaitMaster("web", "web-1", 2)
			s.disowned("web")
			s.awaitQuiet()
			s.annotate("web", api.AnnotationServiceMode, nil)
			s.eventually("the Lease is gone", func() error {
				if list := assert.Must(client.CoordinationV1().Leases(s.namespace).List(s.Context(), metav1.ListOptions{}))(s); len(list.Items) > 0 {
					return fmt.Errorf("it is there")
				}
				return nil
			})
			s.disowned("web")
		})
	}
}
