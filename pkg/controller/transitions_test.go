package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// serving is a cluster whose web-0 is master in epoch 1 and has a standby; the
// events of that are taken.
func serving(c *cluster) *started {
	c.Helper()
	c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
	s := c.start()
	c.Settle()
	c.Expect(
		"Lease web: web-0 @1 FirstEligible, of web",
		"Service web: app=web -> web-0 @1",
		"Pod web-0: identified active @1 spared",
		"Pod web-1: identified standby @1",
	)
	s.events.Take()
	return s
}

func TestFirstMaster(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.SetNotReady), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		c.Expect(
			"Lease web: web-1 @1 FirstEligible, of web",
			"Service web: app=web -> web-1 @1",
			"Pod web-0: identified standby @1",
			"Pod web-1: identified active @1 spared",
		)
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-1: web-1 is the first master, in epoch 1")
		// Traffic moves before any label that it does not depend on.
		want := []string{"create leases web", "patch pods web-1", "patch services web", "patch pods web-1", "patch pods web-0"}
		if diff := cmp.Diff(want, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestFirstMasterIsAwaited(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.SetNotReady))
		s := c.start()
		c.Settle()
		c.Expect(
			"Lease web: @0 AwaitingEligible, of web",
			"Service web: app=web -> none @0",
			"Pod web-0: identified standby @0",
		)
		c.expectEvents(s)

		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
	})
}

func TestFailover(t *testing.T) {
	tests := map[string]struct {
		fail func(*cluster)
		want []string
	}{
		"the master is not Ready": {
			fail: func(c *cluster) { c.EditPod("web-0", fakeapi.SetNotReady) },
			want: []string{
				"Lease web: web-1 @2 HolderNotReady, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-0: identified standby @2",
				"Pod web-1: identified active @2 spared",
			},
		},
		"the master terminates, and is Ready still": {
			fail: func(c *cluster) { c.EditPod("web-0", fakeapi.SetTerminating) },
			want: []string{
				"Lease web: web-1 @2 HolderTerminating, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-0: identified standby @2 terminating",
				"Pod web-1: identified active @2 spared",
			},
		},
		"the master has ended": {
			fail: func(c *cluster) { c.EditPod("web-0", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }) },
			want: []string{
				"Lease web: web-1 @2 HolderFinished, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-0: identified standby @2",
				"Pod web-1: identified active @2 spared",
			},
		},
		"the master is gone": {
			fail: func(c *cluster) { c.DeletePod("web-0") },
			want: []string{
				"Lease web: web-1 @2 HolderGone, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-1: identified active @2 spared",
			},
		},
		"the master is gone and another pod of its name there": {
			fail: func(c *cluster) { c.DeletePod("web-0"); c.Create(fakeapi.NewPod("web-0")) },
			want: []string{
				"Lease web: web-1 @2 HolderGone, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-0: identified standby @2",
				"Pod web-1: identified active @2 spared",
			},
		},
		"the master is no longer selected, and loses what was written to it": {
			fail: func(c *cluster) { c.EditPod("web-0", fakeapi.WithLabel("app", "other")) },
			want: []string{
				"Lease web: web-1 @2 HolderUnselected, of web",
				"Service web: app=web -> web-1 @2",
				"Pod web-0:",
				"Pod web-1: identified active @2 spared",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := serving(c)
				test.fail(c)
				c.Settle()
				c.Expect(test.want...)
				if got := s.events.Take(); len(got) != 1 {
					t.Errorf("events %q, want one", got)
				}
			})
		})
	}
}

func TestFailoverIsConfirmedByTheAPIServer(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		s.client.ClearActions()
		// By the time at which the controller's question arrives it is Ready.
		c.EditPod("web-0", fakeapi.SetNotReady)
		time.Sleep(fakeapi.Latency / 2)
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}
		c.expectEvents(s)
	})
}

func TestFailoverAvoidsNodesThatAreDrained(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.Create(fakeapi.Cordoned("drained"), fakeapi.NewPod("web-2"))
		c.EditPod("web-1", func(p *corev1.Pod) { p.Spec.NodeName = "drained" })
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.Expect(
			"Lease web: web-2 @2 HolderNotReady, of web",
			"Service web: app=web -> web-2 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified standby @1",
			"Pod web-2: identified active @2 spared",
		)
	})
}

func TestFailoverPrefersWhatTheServicePrefers(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationPrefer, "tier=fast")), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		c.Settle()
		c.Create(fakeapi.NewPod("web-2", fakeapi.WithLabel("tier", "fast")))
		c.Settle()
		// The master that is there stays, since it is eligible.
		c.EditPod("web-0", fakeapi.SetTerminating)
		c.Settle()
		c.Expect(
			"Lease web: web-2 @2 HolderTerminating, of web",
			"Service web: app=web -> web-2 @2",
			"Pod web-0: identified standby @2 terminating",
			"Pod web-1: identified standby @1",
			"Pod web-2: identified active @2 spared",
		)
	})
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

func TestNobodyEligibleHolds(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		s.client.ClearActions()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}
		c.expectEvents(s, "Warning NobodyEligible Check on web: no pod is eligible, so web-0 stays master in epoch 1")

		// The first that is eligible again takes over.
		c.EditPod("web-1", fakeapi.SetReady)
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}
