package controller

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func (c *cluster) lease() *coordinationv1.Lease {
	c.Helper()
	lease, err := c.users.CoordinationV1().Leases(testNamespace).Get(c.Context(), "web", metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return lease
}

func TestHeartbeats(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web", withAnnotation(api.AnnotationLeaseDuration, "15s")), newPod("web-0"), newPod("web-1"))
		replicas := []*started{c.start(), c.start()}
		c.settle()
		if got := ptr.Deref(c.lease().Spec.LeaseDurationSeconds, 0); got != 15 {
			t.Errorf("the Lease is valid for %d s, want 15", got)
		}
		for _, s := range replicas {
			s.client.ClearActions()
		}
		// At each beat one replica writes, and the other sees it.
		const minutes = 10
		before := c.server.latest()
		for range minutes * 12 {
			c.wait(5 * time.Second)
			if age := time.Since(c.lease().Spec.RenewTime.Time); age > 6250*time.Millisecond {
				t.Errorf("the Lease was renewed %s ago, want 5 s or a quarter more at most", age)
			}
		}
		// Nothing else is written.
		if got, want := int(c.server.latest()-before), minutes*12; got < want-1 || got > want+1 {
			t.Errorf("%d heartbeats, want %d", got, want)
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
			s.events.take()
		}

		// With one replica gone the other goes on.
		replicas[0].stop()
		c.wait(7 * time.Second)
		for range 12 {
			c.wait(5 * time.Second)
			if age := time.Since(c.lease().Spec.RenewTime.Time); age > 5100*time.Millisecond {
				t.Errorf("the Lease was renewed %s ago, want 5 s at most", age)
			}
		}

		// No heartbeats, and nothing is left of them.
		c.editService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseDuration) })
		c.settle()
		off := c.lease()
		c.wait(time.Minute)
		if now := c.lease(); now.ResourceVersion != off.ResourceVersion || now.Spec.LeaseDurationSeconds != nil {
			t.Errorf("the Lease is still renewed: %v", now.Spec)
		}
	})
}

func TestNextMasterWaitsForExpiry(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationLeaseDuration, "15s")
		c.wait(time.Minute)
		s.events.take()
		c.editPod("web-0", setNotReady)
		c.wait(14 * time.Second)
		renewed := c.lease().Spec.RenewTime
		c.expectEvents(s, "Warning AwaitingExpiry Check on web: web-0 is not Ready; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration)")
		c.wait(2 * time.Second)
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		if acquired := c.lease().Spec.AcquireTime; acquired.Sub(renewed.Time) < 15*time.Second {
			t.Errorf("the next master was elected at %s, and the former could believe in its Lease until 15 s after %s", acquired, renewed)
		}
		// Who asks for a pod meanwhile gets it then.
		c.create(newPod("web-2"))
		c.editPod("web-1", setNotReady)
		c.editPod("web-0", setReady)
		c.settle()
		c.switchTo("web", "web-2")
		c.wait(4 * time.Second)
		if got := c.lease(); *got.Spec.HolderIdentity != "web-1" || got.Annotations[api.AnnotationNextHolder] != "web-2" {
			t.Errorf("the Lease's holder is %s and the next %q, want web-1 and web-2", *got.Spec.HolderIdentity, got.Annotations[api.AnnotationNextHolder])
		}
		c.wait(10 * time.Second)
		c.expect(
			"Lease web: web-2 @3 HolderEdited, of web",
			"Service web: app=web -> web-2 @3",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified standby @3",
			"Pod web-2: identified active @3 spared",
		)
		if next, found := c.lease().Annotations[api.AnnotationNextHolder]; found {
			t.Errorf("%q is still to follow", next)
		}
	})
}

func TestPhasesAreSpread(t *testing.T) {
	const elections, parts = 1000, 10
	var count [parts]int
	for i := range elections {
		count[int(phase(key{Namespace: testNamespace, Name: fmt.Sprint("web-", i)})*parts)]++
	}
	for part, n := range count {
		// Four standard deviations.
		if n < 62 || n > 138 {
			t.Errorf("%d of %d elections beat in the part %d of %d of the interval: %v", n, elections, part, parts, count)
		}
	}
}

// What the holder has read counts, which may no longer hear of anything else.
func TestExpiryIsNotBroughtForward(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.editPod("web-0", setNotReady)
		c.settle()
		c.editService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationLeaseDuration] = "3s" })
		c.wait(40 * time.Second)
		if got := c.lease().Spec; *got.HolderIdentity != "web-0" || *got.LeaseDurationSeconds != 60 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, *got.LeaseDurationSeconds)
		}
		c.wait(15 * time.Second)
		if got := c.lease().Spec; *got.HolderIdentity != "web-1" || *got.LeaseDurationSeconds != 3 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, *got.LeaseDurationSeconds)
		}
	})
}

// A write that fails when the time is over does not begin it anew.
func TestExpiryIsNotPutOff(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.editPod("web-0", setNotReady)
		failed := false
		c.server.onRequest(func(action clienttesting.Action) error {
			if action.Matches("update", "leases") && !failed {
				failed = true
				return errors.New("the API server is busy")
			}
			return nil
		})
		c.wait(62 * time.Second)
		if got := c.lease().Spec; *got.HolderIdentity != "web-1" || !failed {
			t.Errorf("%s is master, a write has failed: %v", *got.HolderIdentity, failed)
		}
	})
}

// Who deletes the Lease does not end what its holder may believe.
func TestExpiryOfALeaseThatIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		asked(c, api.AnnotationLeaseDuration, "1m")
		c.editPod("web-0", setNotReady)
		c.settle()
		c.deleteLease("web")
		c.wait(30 * time.Second)
		if got := c.lease().Spec; *got.HolderIdentity != "web-0" || ptr.Deref(got.LeaseDurationSeconds, 0) != 60 {
			t.Errorf("%s is master for %d s", *got.HolderIdentity, ptr.Deref(got.LeaseDurationSeconds, 0))
		}
		c.wait(2 * time.Minute)
		if got := *c.lease().Spec.HolderIdentity; got != "web-1" {
			t.Errorf("%s is master", got)
		}
	})
}

// What fails for ever after a renewal does not make the next one late.
func TestHeartbeatsDespiteErrors(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationLeaseDuration, "6s")
		c.server.onRequest(func(action clienttesting.Action) error {
			if action.Matches("patch", "services") {
				return errors.New("the API server is busy")
			}
			return nil
		})
		c.editService("web", func(service *corev1.Service) { delete(service.Spec.Selector, api.LabelPodUID) })
		c.wait(time.Minute)
		for range 60 {
			c.wait(time.Second)
			if age := time.Since(c.lease().Spec.RenewTime.Time); age > 2200*time.Millisecond {
				t.Fatalf("the Lease was renewed %s ago, want 2 s at most", age)
			}
		}
		if !slices.Contains(s.writes(), "patch services web") {
			t.Error("nothing has failed")
		}
	})
}

// A healthy master hears of its successor, so that nobody waits.
func TestHealthyMasterIsReplacedAtOnce(t *testing.T) {
	for name, act := range map[string]func(c *cluster){
		"by hand":        func(c *cluster) { c.switchTo("web", "web-1") },
		"as it is going": func(c *cluster) { c.editPod("web-0", setTerminating) },
		"as it is gone":  func(c *cluster) { c.deletePod("web-0") },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				asked(c, api.AnnotationLeaseDuration, "1h")
				act(c)
				c.wait(time.Second)
				if got := *c.lease().Spec.HolderIdentity; got != "web-1" {
					t.Errorf("%s is master", got)
				}
			})
		})
	}
}
