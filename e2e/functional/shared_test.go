//go:build e2e

package functional

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// A ClusterIP and a headless Service that share a Lease have one master and move together.
// An event about the Service whose settings do not apply says so.
func TestSharedLease(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := *s.web("shared.yaml").Spec.HolderIdentity
	s.awaitEndpoint(master, "web", "web-headless")
	s.awaitWarning(api.ReasonDifferingSettings)
	about := s.kubectl("get", "events", "--field-selector=reason="+api.ReasonDifferingSettings, "-o", "jsonpath={.items[*].involvedObject.name}")
	if warned := sets.New(strings.Fields(about)...); !warned.Equal(sets.New("web-headless")) {
		t.Errorf("the Warning is about %v, want web-headless, whose settings do not apply", sets.List(warned))
	}
	client, headless, resolver := s.request("http://web"), s.request("http://web-headless:8080"), s.lookup("web-headless")
	moved := func(epoch int32, to string) string {
		t.Helper()
		next := s.pod(*s.awaitMaster("web", epoch, to).Spec.HolderIdentity)
		s.awaitEndpoint(next.Name, "web", "web-headless")
		client.awaitPod(next.Name)
		resolver.awaitAnswer("the headless name resolves to the next master", func(r record.Request) error {
			if !slices.Equal(r.Addresses, []string{next.Status.PodIP}) {
				return fmt.Errorf("the name resolves to %v", r.Addresses)
			}
			return nil
		})
		headless.awaitPod(next.Name)
		return next.Name
	}

	second := s.standby("web")
	s.editHolder("web", second)
	moved(2, second)
	client.check(0, master, second)
	if lost := record.Lost(headless.all()); len(lost) > 0 {
		t.Errorf("%d requests to the headless Service are lost; the first: %+v", len(lost), lost[0])
	}

	s.setReady(second, false)
	third := moved(3, anyPod)
	client.check(-1, master, second, third)

	leases := assert.Must(cluster.Client.CoordinationV1().Leases(s.namespace).List(t.Context(), metav1.ListOptions{}))(s)
	if len(leases.Items) != 1 {
		t.Errorf("%d Leases, want 1: %v", len(leases.Items), leases.Items)
	}
}

// awaitEndpoint waits until the pod is the only endpoint of each of the Services.
func (s *scene) awaitEndpoint(pod string, services ...string) {
	s.Helper()
	for _, service := range services {
		s.eventually(pod+" is the only endpoint of "+service, func() error {
			list := assert.Must(cluster.Client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(),
				metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service}))(s)
			var pods []string
			for _, slice := range list.Items {
				for _, e := range slice.Endpoints {
					pods = append(pods, e.TargetRef.Name)
				}
			}
			if !slices.Equal(pods, []string{pod}) {
				return fmt.Errorf("the endpoints are %v", pods)
			}
			return nil
		})
	}
}
