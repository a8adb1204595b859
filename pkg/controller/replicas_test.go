package controller

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestTwoReplicasMakeOneTransition(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		replicas := []*started{c.start(), c.start()}
		c.Settle()
		for _, s := range replicas {
			s.events.Take()
			s.client.ClearActions()
		}
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
