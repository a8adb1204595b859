//go:build integration

package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A Service that observes has its own selector and its pods no labels, before it takes part in the
// election and after it. The scenarios have the rest.
func TestObserve(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0", "web-1")
	services := client.CoreV1().Services(s.namespace)
	web := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{api.AnnotationServiceMode: api.ModeObserve}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	s.guard.Opened("web")
	assert.Must(services.Create(t.Context(), web, metav1.CreateOptions{}))(s)
	recorded := func() {
		s.Helper()
		s.eventually("the Lease names web-0", func() error {
			lease, err := client.CoordinationV1().Leases(s.namespace).Get(t.Context(), "web", metav1.GetOptions{})
			if err == nil && (ptr.Deref(lease.Spec.HolderIdentity, "") != "web-0" || *lease.Spec.LeaseTransitions != 1) {
				err = fmt.Errorf("it says %+v", lease.Spec)
			}
			return err
		})
	}
	recorded()
	mode := func(mode string) {
		s.annotate("web", api.AnnotationServiceMode, &mode)
	}
	untouched := func() {
		s.Helper()
		s.eventually("the condition says that the Service observes, and nothing else is written", func() error {
			service, err := services.Get(t.Context(), "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if c := observation.Condition(service); c == nil || c.Status != metav1.ConditionUnknown || c.Reason != api.Observed {
				return fmt.Errorf("the condition is %+v", c)
			}
			if observation.MarkedService(service) || len(service.Spec.Selector) != 1 {
				return fmt.Errorf("the Service has the selector %v and the annotations %v", service.Spec.Selector, service.Annotations)
			}
			for _, name := range []string{"web-0", "web-1"} {
				if pod := s.getPod(name); observation.MarkedPod(pod) || pod.Labels[api.LabelDesignation] != "" {
					return fmt.Errorf("%s has the labels %v and the annotations %v", name, pod.Labels, pod.Annotations)
				}
			}
			return nil
		})
	}
	untouched()
	mode(api.ModeActiveStandby)
	assert.Must(installation.Kubectl(t.Context(), "-n", s.namespace, "wait", "--timeout=60s", "--for=condition="+api.ConditionMasterReady, "service/web"))(s)
	s.awaitMaster("web", "web-0", 1)
	mode(api.ModeObserve)
	untouched()
	recorded()
}
