//go:build e2e

package functional

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// A Service that opts out is an ordinary Service again, and clients lose nothing.
func TestOptOut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.web("clusterip.yaml")
	client := s.request("http://web")
	s.optOut("web")
	s.awaitNothingLeft()
	for name := range s.pods("web") {
		client.awaitPod(name)
	}
	if lost := record.Lost(client.all()); len(lost) > 0 {
		t.Errorf("%d requests are lost; the first: %+v", len(lost), lost[0])
	}
}

// optOut takes the annotation off the Service.
func (s *scene) optOut(service string) {
	s.Helper()
	s.guard.Opened(service)
	s.guard.MayGo(service)
	s.kubectl("annotate", "service", service, api.AnnotationServiceMode+"-")
}

// awaitNothingLeft waits until the namespace has no Lease and no key of the controller's.
func (s *scene) awaitNothingLeft() {
	s.Helper()
	keys := []string{api.LabelPodUID, api.LabelDesignation, api.LabelRouting, api.AnnotationLeaseTransitions, api.AnnotationDeletionCost}
	left := func(kind string, object metav1.Object, selector map[string]string) error {
		for _, key := range keys {
			if object.GetLabels()[key]+object.GetAnnotations()[key]+selector[key] != "" {
				return fmt.Errorf("%s %s still has %s", kind, object.GetName(), key)
			}
		}
		return nil
	}
	s.eventually("nothing is left behind", func() error {
		leases := assert.Must(cluster.Client.CoordinationV1().Leases(s.namespace).List(s.Context(), metav1.ListOptions{}))(s)
		if len(leases.Items) > 0 {
			return fmt.Errorf("the Lease %s is left", leases.Items[0].Name)
		}
		for _, service := range assert.Must(cluster.Client.CoreV1().Services(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
			if err := left("the Service", &service, service.Spec.Selector); err != nil {
				return err
			}
		}
		for _, pod := range assert.Must(cluster.Client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
			if err := left("the pod", &pod, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
