package controller

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestSwitchover(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderEdited, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited")
	})
}

func TestSwitchoverRefused(t *testing.T) {
	tests := map[string]struct {
		pod, why string
	}{
		"to a pod that is not Ready":        {"web-1", "web-1 cannot become master: it is not Ready"},
		"to a pod that does not exist":      {"web-9", "web-9 cannot become master: it is not a pod that the Service selects"},
		"to a word that no pod has as name": {"The Second!", "The Second! cannot become master: it is not a pod that the Service selects"},
		"to a name that is a path":          {"default/web-1", "default/web-1 cannot become master: it is not a pod that the Service selects"},
		"to a pod that is not a candidate":  {"other", "other cannot become master: it is not a pod that the Service selects"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := serving(c)
				c.EditPod("web-1", fakeapi.SetNotReady)
				c.Create(fakeapi.NewPod("other", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} }))
				c.Settle()
				s.client.ClearActions()
				c.SwitchTo("web", test.pod)
				c.Settle()
				c.Expect(
					"Lease web: web-0 @1 FirstEligible, of web",
					"Service web: app=web -> web-0 @1",
					"Pod other:",
					"Pod web-0: identified active @1 spared",
					"Pod web-1: identified standby @1",
				)
				c.expectEvents(s, "Warning EditRefused Switchover on web about "+test.pod+": "+test.why+"; web-0 stays master in epoch 1")
				if diff := cmp.Diff([]string{"update leases web"}, s.writes()); diff != "" {
					t.Errorf("writes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The second replica finds nothing to do, or nothing to say.
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

func TestLeaseDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.SwitchTo("web", "web-1")
		c.Settle()
		s.events.Take()
		s.client.ClearActions()

		c.DeleteLease("web")
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 LeaseLost, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		c.expectEvents(s, "Normal LeaseLost Restore on web about web-1: web-1 stays master in epoch 2: the Lease or its holder had been removed")
		if writes := s.writes(); len(writes) != 1 {
			t.Errorf("writes %q, want only that of the Lease", writes)
		}
	})
}

func TestLeaseDeletedWhileNoControllerRuns(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.SwitchTo("web", "web-1")
		c.Settle()
		s.stop()
		c.DeleteLease("web")
		c.DeletePod("web-1")
		c.start()
		c.Settle()
		// An epoch that another pod has had is not used again.
		c.Expect(
			"Lease web: web-0 @3 HolderGone, of web",
			"Service web: app=web -> web-0 @3",
			"Pod web-0: identified active @3 spared",
		)
	})
}

func TestLeaseEpochRestored(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.SwitchTo("web", "web-1")
		c.Settle()
		s.events.Take()
		c.EditLease("web", func(l *coordinationv1.Lease) { *l.Spec.LeaseTransitions = 1 })
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderEdited, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		c.expectEvents(s, "Normal EpochRestored Restore on web about web-1: web-1 is master in epoch 2: the Lease's epoch had been edited")
	})
}

func TestLeaseOfSomebodyElse(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.ForeignLease("web", "somebody"), fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Hour)
		c.Expect(
			"Lease web: foreign somebody",
			"Service web: app=web",
			"Pod web-0:",
		)
		c.expectEvents(s, "Warning LeaseForeign Check on web: the Lease of that name is not the controller's; delete it, or name another in the annotation qoqo.dev/lease-name")
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}

		// Such Leases are not watched: its deletion is found out within 30 s.
		c.DeleteLease("web")
		c.Wait(31 * time.Second)
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
	})
}

func TestLeaseThatLosesItsLabelIsForeign(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.EditLease("web", func(l *coordinationv1.Lease) { delete(l.Labels, api.LabelManagedBy) })
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.Expect(
			"Lease web: foreign web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
		c.expectEvents(s, "Warning LeaseForeign Check on web: the Lease of that name is not the controller's; delete it, or name another in the annotation qoqo.dev/lease-name")

		c.EditLease("web", func(l *coordinationv1.Lease) { l.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy} })
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

// A Lease of the name that appears between the look and the write.
func TestLeaseOfSomebodyElseAtTheSameTime(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		var once sync.Once
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("create", "leases") {
				once.Do(func() { c.Create(fakeapi.ForeignLease("web", "somebody")) })
			}
			return nil
		})
		s := c.start()
		c.Settle()
		c.Expect(
			"Lease web: foreign somebody",
			"Service web: app=web",
			"Pod web-0:",
		)
		if diff := cmp.Diff([]string{"create leases web"}, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestLeaseSaysSinceWhen(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		times := func() (acquired, renewed time.Time) {
			t.Helper()
			lease, err := c.Users.CoordinationV1().Leases(fakeapi.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if lease.Spec.AcquireTime == nil || lease.Spec.RenewTime == nil {
				t.Fatalf("acquired %v, renewed %v", lease.Spec.AcquireTime, lease.Spec.RenewTime)
			}
			return lease.Spec.AcquireTime.Time, lease.Spec.RenewTime.Time
		}
		failed := time.Now()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Hour)
		acquired, renewed := times()
		if after := acquired.Sub(failed); after <= 0 || after > time.Second {
			t.Errorf("acquired %s after the failure", after)
		}
		if !renewed.Equal(acquired) {
			t.Errorf("renewed at %s, acquired at %s; the Lease is no heartbeat", renewed, acquired)
		}

		// Who is put back has held it all the time.
		refused := time.Now()
		c.SwitchTo("web", "web-9")
		c.Settle()
		if again, renewed := times(); !again.Equal(acquired) || renewed.Before(refused) {
			t.Errorf("acquired at %s, and before at %s; renewed %s after the edit", again, acquired, renewed.Sub(refused))
		}
	})
}
