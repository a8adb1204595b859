package controller

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// bySlices is what servingBySlices has.
var bySlices = []string{
	"Lease web: web-0 @1 FirstEligible, of web",
	"Service web: app=web detached @1",
	"EndpointSlice web-master-ipv4: web-0 @1, of web-0",
	"Pod web-0: active @1 spared",
	"Pod web-1: standby @1",
}

// servingBySlices is a cluster with Kubernetes' controllers whose web-0 is master in
// epoch 1 and has a standby; the events of that are taken, the requests forgotten.
func servingBySlices(c *cluster, change ...func(*corev1.Service)) *started {
	c.Helper()
	c.runKubernetes(builtInDelay)
	c.create(newService("web", append([]func(*corev1.Service){bySlice}, change...)...), newPod("web-0"), newPod("web-1"))
	s := c.start()
	c.settle()
	s.events.take()
	s.client.ClearActions()
	return s
}

func TestOptInToRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.runKubernetes(builtInDelay)
		c.create(newService("web", bySlice), newPod("web-0"), newPod("web-1"))
		c.settle()
		traffic := c.traffic()
		s := c.start()
		c.settle()
		c.expect(bySlices...)
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		if diff := cmp.Diff([]string{"web-0+web-1", "web-0"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
		want := []string{
			"create leases web", "create endpointslices web-master-ipv4", "patch services web",
			"patch pods web-0", "patch pods web-1", "update endpointslices web-master-ipv4",
		}
		got := s.writes()
		slices.Sort(got[4:])
		slices.Sort(want[4:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestFirstMasterIsAwaitedWithoutAnEndpoint(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.runKubernetes(builtInDelay)
		c.create(newService("web", bySlice), newPod("web-0", setNotReady))
		c.start()
		c.settle()
		c.expect(
			"Lease web: @0 AwaitingEligible, of web",
			"Service web: app=web detached @0",
			"EndpointSlice web-master-ipv4: @0, of web",
			"Pod web-0: standby @0",
		)
		c.editPod("web-0", setReady)
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web detached @1",
			"EndpointSlice web-master-ipv4: web-0 @1, of web-0",
			"Pod web-0: active @1 spared",
		)
	})
}

// failedOverBySlices is what servingBySlices is after web-0 was not Ready.
var failedOverBySlices = []string{
	"Lease web: web-1 @2 HolderNotReady, of web",
	"Service web: app=web detached @2",
	"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
	"Pod web-0: standby @2",
	"Pod web-1: active @2 spared",
}

func TestFailoverByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newNode("node", "zone-a"))
		s := servingBySlices(c)
		traffic := c.traffic()
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expect(failedOverBySlices...)
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		if diff := cmp.Diff([]string{"web-0", "web-1"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
		// Nothing is asked for but whether the master failed, and what traffic depends
		// on is written first.
		want := []string{
			"get pods web-0", "update leases web", "update endpointslices web-master-ipv4",
			"patch pods web-0", "patch pods web-1", "patch services web",
		}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// The endpoint goes with the pod, and the garbage collector may be first.
func TestFailoverByEndpointSliceOfAMasterThatIsGone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := servingBySlices(c)
		c.deletePod("web-0")
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderGone, of web",
			"Service web: app=web detached @2",
			"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
			"Pod web-1: active @2 spared",
		)
		if events := s.events.take(); len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}

// Its last pod goes while no controller runs, and then its Lease: the epoch is
// known nevertheless.
func TestEpochOutlivesPodsAndLease(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.runKubernetes(builtInDelay)
		c.create(newService("web", selectorless), newPod("web-0"))
		s := c.start()
		c.settle()
		c.deletePod("web-0")
		c.settle()
		s.stop()
		c.deleteLease("web")
		c.create(newPod("web-1"))
		c.start()
		c.settle()
		c.expect(
			"Lease web: web-1 @2 FirstEligible, of web",
			"Service web: <none>",
			"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
			"Pod web-1: active @2 spared",
		)
	})
}

func TestSwitchoverByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		traffic := c.traffic()
		c.switchTo("web", "web-1")
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderEdited, of web",
			"Service web: app=web detached @2",
			"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
			"Pod web-0: standby @2",
			"Pod web-1: active @2 spared",
		)
		if diff := cmp.Diff([]string{"web-0", "web-1"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
	})
}

func TestConditionsOfTheEndpointFollowTheMaster(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		c.deletePod("web-1")
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web detached @1",
			"EndpointSlice web-master-ipv4: web-0 (not ready) @1, of web-0",
			"Pod web-0: active @1 spared",
		)
		c.editPod("web-0", setReady)
		c.settle()
		c.expect(slices.Delete(slices.Clone(bySlices), 4, 5)...)
	})
}

func TestOwnSliceThatIsDeletedOrEditedIsPutBack(t *testing.T) {
	tests := map[string]func(*cluster){
		"deleted": func(c *cluster) { c.deleteSlice("web-master-ipv4") },
		"edited": func(c *cluster) {
			c.editSlice("web-master-ipv4", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].TargetRef.UID = "uid-0" })
		},
		"no longer labelled as the Service's": func(c *cluster) {
			c.editSlice("web-master-ipv4", func(s *discoveryv1.EndpointSlice) { delete(s.Labels, discoveryv1.LabelServiceName) })
		},
	}
	for name, interfere := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				servingBySlices(c)
				interfere(c)
				c.settle()
				c.expect(bySlices...)
			})
		})
	}
}

func TestNothingIsAskedAtRestWithRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.rest(servingBySlices(c))
	})
}

func TestTwoReplicasWithRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := servingBySlices(c)
		replicas := []*started{first, c.start()}
		c.settle()
		replicas[1].client.ClearActions()
		traffic := c.traffic()
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expect(failedOverBySlices...)
		if diff := cmp.Diff([]string{"web-0", "web-1"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
		var events []string
		for _, s := range replicas {
			if !slices.Contains(s.writes(), "update leases web") {
				t.Errorf("a replica did not try, so that nothing is tested: %q", s.writes())
			}
			events = append(events, s.events.take()...)
		}
		if len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}

func TestRoutingThatIsRevertedIsPutBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := servingBySlices(c)
		c.editService("web", func(s *corev1.Service) { delete(s.Spec.Selector, api.LabelRouting) })
		c.settle()
		c.expect(bySlices...)
		c.expectEvents(s, `Warning SelectorReverted Route on web: the field manager "kubectl" overwrote qoqo.dev/routing in the selector; it was put back. If "kubectl" applies manifests, let it ignore the key, or let it set qoqo.dev/routing: endpointslice itself`)
	})
}
