package controller

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// A replica that hears late of the end of an election does not create and delete its Lease in turns.
func TestEndOfAnElectionThatAReplicaHearsOfLate(t *testing.T) {
	for name, end := range map[string]func(c *cluster){
		"the Service is deleted": func(c *cluster) { c.DeleteService("web") },
		"the Service opts out":   func(c *cluster) { c.EditService("web", fakeapi.OptOut) },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				first, late := c.prepare(), c.prepare()
				late.behind["services"] = 5 * time.Second
				c.run(first)
				c.run(late)
				c.Wait(time.Minute)
				late.client.ClearActions()
				end(c)
				c.Wait(time.Minute)
				if n := strings.Count(strings.Join(late.writes(), "\n"), "create leases"); n > 3 {
					t.Errorf("%d creations of the Lease", n)
				}
			})
		})
	}
}

// A plain Service with endpoints opts in where the default is by EndpointSlice. The policy of
// manifests/fail-closed adds the key that no pod carries in the request that annotates it.
func TestDefaultRoutingOfAServiceThatOptsIn(t *testing.T) {
	for name, closed := range map[string]bool{"open": false, "closed by the policy": true} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.RunKubernetes(300 * time.Millisecond)
				s := c.prepare()
				s.DefaultRouting = api.RoutingEndpointSlice
				c.run(s)
				c.Create(fakeapi.NewService("web", fakeapi.OptOut), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				c.Settle()
				c.EditService("web", func(s *corev1.Service) {
					s.Annotations = map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}
					if closed {
						s.Spec.Selector[api.LabelPodUID] = api.NoPod
					}
				})
				c.Settle()
				if state := strings.Join(c.State(), "\n"); !strings.Contains(state, "detached") {
					t.Errorf("it is not routed by EndpointSlice:\n%s", state)
				}
			})
		})
	}
}
