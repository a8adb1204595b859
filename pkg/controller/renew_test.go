package controller

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestRenewals(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationLeaseDuration, "15s")), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		replicas := []*started{c.start(), c.start()}
		c.Settle()
		if got := ptr.Deref(c.Lease("web").Spec.LeaseDurationSeconds, 0); got != 15 {
			t.Errorf("the Lease is valid for %d s, want 15", got)
		}
		for _, s := range replicas {
			s.client.ClearActions()
		}
		// Each time one replica writes, and the other sees it.
		const minutes = 10
		before := c.Server.Latest()
		for range minutes * 12 {
			c.Wait(5 * time.Second)
			if age := time.Since(c.Lease("web").Spec.RenewTime.Time); age > 6250*time.Millisecond {
				t.Errorf("the Lease was renewed %s ago, want 5 s or a quarter more at most", age)
			}
		}
		// Nothing else is written.
		if got, want := int(c.Server.Latest()-before), minutes*12; got < want-1 || got > want+1 {
			t.Errorf("%d renewals, want %d", got, want)
		}
		for _, s := range replicas {
			for _, write := range s.writes() {
				if write != "update leases web" {
					t.Errorf("a replica wrote %q at rest", write)
				}
			}
			if reads := len(s.requests()) - len(s.writes()); reads > 0 {
				t.Errorf("a replica has read %d times at rest", reads)
			}
			s.events.Take()
		}

		// With one replica gone the other goes on.
		replicas[0].stop()
		c.Wait(7 * time.Second)
		for range 12 {
			c.Wait(5 * time.Second)
			if age := time.Since(c.Lease("web").Spec.RenewTime.Time); age > 5100*time.Millisecond {
				t.Errorf("the Lease was renewed %s ago, want 5 s at most", age)
			}
		}

		// Without the setting there are no renewals, and nothing is left of them.
		c.EditService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseDuration) })
		c.Settle()
		off := c.Lease("web")
		c.Wait(time.Minute)
		if now := c.Lease("web"); now.ResourceVersion != off.ResourceVersion || now.Spec.LeaseDurationSeconds != nil {
			t.Errorf("the Lease is still renewed: %v", now.Spec)
		}
	})
}

func TestNextMasterWaitsForExpiry(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationLeaseDuration, "15s")
		c.Wait(time.Minute)
		s.events.Take()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(14 * time.Second)
		renewed := c.Lease("web").Spec.RenewTime
		c.expectEvents(s, "Warning AwaitingExpiry Check on web: web-0 is not Ready; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration)")
		c.Wait(2 * time.Second)
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		if acquired := c.Lease("web").Spec.AcquireTime; acquired.Sub(renewed.Time) < 15*time.Second {
			t.Errorf("the next master was elected at %s, and the former could believe in its Lease until 15 s after %s", acquired, renewed)
		}
		// A pod that is asked for meanwhile becomes master then.
		c.Create(fakeapi.NewPod("web-2"))
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		c.SwitchTo("web", "web-2")
		c.Wait(4 * time.Second)
		if got := c.Lease("web"); *got.Spec.HolderIdentity != "web-1" || got.Annotations[api.AnnotationNextHolder] != "web-2" {
			t.Errorf("the Lease's holder is %s and the next %q, want web-1 and web-2", *got.Spec.HolderIdentity, got.Annotations[api.AnnotationNextHolder])
		}
		c.Wait(10 * time.Second)
		c.Expect(
			"Lease web: web-2 @3 HolderEdited for 15 s, of web",
			"Service web: app=web -> web-2 @3",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified standby @3",
			"Pod web-2: identified active @3 spared",
		)
		if next, found := c.Lease("web").Annotations[api.AnnotationNextHolder]; found {
			t.Errorf("%q is still to follow", next)
		}
	})
}

func TestPhasesAreSpread(t *testing.T) {
	const elections, parts = 1000, 10
	var count [parts]int
	for i := range elections {
		count[int(phase(key{Namespace: fakeapi.Namespace, Name: fmt.Sprint("web-", i)})*parts)]++
	}
	for part, n := range count {
		// Four standard deviations.
		if n < 62 || n > 138 {
			t.Errorf("%d of %d elections are renewed in the part %d of %d of the interval: %v", n, elections, part, parts, count)
		}
	}
}

// The duration that the holder has read counts: it may no longer hear of another.
func TestExpiryIsNotBroughtForward(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.EditService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationLeaseDuration] = "3s" })
		c.Wait(40 * time.Second)
		if got := c.Lease("web").Spec; *got.HolderIdentity != "web-0" || *got.LeaseDurationSeconds != 60 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, *got.LeaseDurationSeconds)
		}
		c.Wait(15 * time.Second)
		if got := c.Lease("web").Spec; *got.HolderIdentity != "web-1" || *got.LeaseDurationSeconds != 3 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, *got.LeaseDurationSeconds)
		}
	})
}

// A write that fails when the time is over does not begin it anew.
func TestExpiryIsNotPutOff(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.EditPod("web-0", fakeapi.SetNotReady)
		failed := false
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("update", "leases") && !failed {
				failed = true
				return errors.New("the API server is busy")
			}
			return nil
		})
		c.Wait(62 * time.Second)
		if got := c.Lease("web").Spec; *got.HolderIdentity != "web-1" || !failed {
			t.Errorf("%s is master, a write has failed: %v", *got.HolderIdentity, failed)
		}
	})
}

// Deleting the Lease does not end what its holder may believe.
func TestExpiryOfALeaseThatIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.DeleteLease("web")
		c.Wait(30 * time.Second)
		if got := c.Lease("web").Spec; *got.HolderIdentity != "web-0" || ptr.Deref(got.LeaseDurationSeconds, 0) != 60 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, ptr.Deref(got.LeaseDurationSeconds, 0))
		}
		c.Wait(2 * time.Minute)
		if got := *c.Lease("web").Spec.HolderIdentity; got != "web-1" {
			t.Errorf("%s is master", got)
		}
	})
}

// A write that fails for ever does not make the next renewal late.
func TestRenewalsDespiteErrors(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationLeaseDuration, "6s")
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("patch", "services") {
				return errors.New("the API server is busy")
			}
			return nil
		})
		c.EditService("web", func(service *corev1.Service) { delete(service.Spec.Selector, api.LabelPodUID) })
		c.Wait(time.Minute)
		for range 60 {
			c.Wait(time.Second)
			if age := time.Since(c.Lease("web").Spec.RenewTime.Time); age > 2200*time.Millisecond {
				t.Fatalf("the Lease was renewed %s ago, want 2 s at most", age)
			}
		}
		if !slices.Contains(s.writes(), "patch services web") {
			t.Error("nothing has failed")
		}
	})
}

// A healthy master hears of its successor, so that there is no wait.
func TestHealthyMasterIsReplacedAtOnce(t *testing.T) {
	for name, act := range map[string]func(c *cluster){
		"by hand":               func(c *cluster) { c.SwitchTo("web", "web-1") },
		"because it terminates": func(c *cluster) { c.EditPod("web-0", fakeapi.SetTerminating) },
		"because it is gone":    func(c *cluster) { c.DeletePod("web-0") },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				asked(c, api.AnnotationLeaseDuration, "1h")
				act(c)
				c.Wait(time.Second)
				if got := *c.Lease("web").Spec.HolderIdentity; got != "web-1" {
					t.Errorf("%s is master", got)
				}
			})
		})
	}
}
