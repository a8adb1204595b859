//go:build e2e

package functional

import (
	"fmt"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// A switchover with routing endpointslice loses nothing, with or without a selector.
func TestEndpointSliceSwitchover(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"endpointslice.yaml", "selectorless.yaml"} {
		t.Run(service, func(t *testing.T) {
			s := newScene(t)
			masters := []string{*s.web(service).Spec.HolderIdentity}
			client := s.request("http://web")
			for epoch := range int32(3) {
				next := s.standby("web")
				s.editHolder("web", next)
				s.awaitMaster("web", epoch+2, next)
				client.awaitPod(next)
				masters = append(masters, next)
			}
			client.check(0, masters...)
		})
	}
}

// With routing endpointslice a master that turns NotReady is replaced.
func TestEndpointSliceFailover(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := *s.web("endpointslice.yaml").Spec.HolderIdentity
	client := s.request("http://web")
	s.setReady(master, false)
	lease := s.awaitMaster("web", 2, anyPod)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderNotReady) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	next := ptr.Deref(lease.Spec.HolderIdentity, "")
	client.awaitPod(next)
	client.check(-1, master, next)
}

// Clients lose nothing while a Service migrates from one routing to another, or opts out.
func TestRoutingMigration(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := *s.web("clusterip.yaml").Spec.HolderIdentity
	client := s.request("http://web")
	for range 2 {
		s.kubectl("annotate", "service", "web", api.AnnotationRouting+"="+string(api.RoutingEndpointSlice))
		s.awaitSlices("web", true)
		client.awaitPod(master)
		s.kubectl("annotate", "service", "web", api.AnnotationRouting+"-")
		s.awaitSlices("web", false)
		client.awaitPod(master)
	}
	client.check(0, master)

	s.kubectl("annotate", "service", "web", api.AnnotationRouting+"="+string(api.RoutingEndpointSlice))
	s.awaitSlices("web", true)
	s.optOut("web")
	s.awaitSlices("web", false)
	s.kubectl("annotate", "service", "web", api.AnnotationRouting+"-")
	s.awaitNothingLeft()
	for name := range s.pods("web") {
		client.awaitPod(name)
	}
	if lost := record.Lost(client.all()); len(lost) > 0 {
		t.Errorf("%d requests are lost; the first: %+v", len(lost), lost[0])
	}
}

// awaitSlices waits until the Service has EndpointSlices of the controller's own and
// Kubernetes' list no pod or, if own is false, until it has none of the controller's.
func (s *scene) awaitSlices(service string, own bool) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s has EndpointSlices of the controller's own: %t", service, own), func() error {
		list := assert.Must(cluster.Client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(),
			metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service}))(s)
		found := false
		for _, slice := range list.Items {
			switch {
			case slice.Labels[discoveryv1.LabelManagedBy] == api.SliceManagedBy:
				found = true
			case own && len(slice.Endpoints) > 0:
				return fmt.Errorf("%s still lists %v", slice.Name, slice.Endpoints)
			}
		}
		if found != own {
			return fmt.Errorf("it has some: %t", found)
		}
		return nil
	})
}
