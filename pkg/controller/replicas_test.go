package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// race lets each replica take it for its turn: as if the other were slow.
func race(replicas ...*started) {
	k := key{Namespace: fakeapi.Namespace, Name: "web"}
	for _, s := range replicas {
		l, _ := s.leases.in(k.Namespace).get(k)
		s.turns.saw(k, l)
	}
}

// One replica makes the whole transition: two writes until traffic moves, and two that nobody
// waits for. The other asks and writes nothing.
func TestRequestsOfTwoReplicas(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    []string
	}{
		"by selector":      {fakeapi.NewService("web"), []string{"get pods web-0", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1"}},
		"by EndpointSlice": {fakeapi.NewService("web", fakeapi.BySlice), []string{"get pods web-0", "update leases web", "update endpointslices web-master-ipv4", "patch pods web-0", "patch pods web-1", "patch services web"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(test.service, fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				replicas := []*started{c.start(), c.start()}
				c.Settle()
				for _, s := range replicas {
					s.client.ClearActions()
				}
				c.EditPod("web-0", fakeapi.SetNotReady)
				c.Settle()
				if diff := cmp.Diff(test.want, append(replicas[0].requests(), replicas[1].requests()...)); diff != "" {
					t.Errorf("requests of both replicas (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A replica whose turn it is may have died, before the decision or after it.
func TestReplicaThatDiesInItsTurn(t *testing.T) {
	for _, write := range []string{"leases", "services"} {
		t.Run("before it writes "+write, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				first := serving(c)
				c.start()
				c.Settle()
				first.client.PrependReactor("*", write, func(a clienttesting.Action) (bool, runtime.Object, error) {
					// As if it hung.
					return a.GetVerb() != "list" && a.GetVerb() != "watch", nil, apierrors.NewTimeoutError("the replica is dead", 1)
				})
				c.EditPod("web-0", fakeapi.SetNotReady)
				c.Wait(700 * time.Millisecond)
				c.Expect(failedOver...)
			})
		})
	}
}

func TestTwoReplicasMakeOneTransition(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		replicas := []*started{c.start(), c.start()}
		c.Settle()
		for _, s := range replicas {
			s.events.Take()
			s.client.ClearActions()
		}
		race(replicas...)
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		events := 0
		for _, s := range replicas {
			if !slices.Contains(s.writes(), "update leases web") {
				t.Errorf("a replica did not try, so that nothing is tested: %q", s.writes())
			}
			events += len(s.events.Take())
		}
		if events != 1 {
			t.Errorf("%d events, want 1", events)
		}
	})
}

func TestTwoReplicasWithRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := servingBySlices(c)
		replicas := []*started{first, c.start()}
		c.Settle()
		replicas[1].client.ClearActions()
		race(replicas...)
		traffic := c.Traffic()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.Expect(failedOverBySlices...)
		if diff := cmp.Diff([]string{"web-0", "web-1"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
		var events []string
		for _, s := range replicas {
			if !slices.Contains(s.writes(), "update leases web") {
				t.Errorf("a replica did not try, so that nothing is tested: %q", s.writes())
			}
			events = append(events, s.events.Take()...)
		}
		if len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}

// The second replica finds nothing to do, or nothing to report.
func TestSwitchoverRefusedByOneReplica(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := serving(c)
		second := c.start()
		c.Settle()
		c.SwitchTo("web", "web-9")
		c.Settle()
		if events := append(first.events.Take(), second.events.Take()...); len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}

func TestRevertIsReportedByTheReplicaThatPutItBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := serving(c)
		second := c.start()
		c.Settle()
		race(first, second)
		c.EditService("web", func(s *corev1.Service) { delete(s.Spec.Selector, api.LabelPodUID) })
		c.Settle()
		for _, s := range []*started{first, second} {
			if !slices.Contains(s.writes(), "patch services web") {
				t.Errorf("a replica did not try, so that nothing is tested: %q", s.writes())
			}
		}
		if events := append(first.events.Take(), second.events.Take()...); len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}
