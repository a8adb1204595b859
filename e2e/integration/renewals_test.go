//go:build integration

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// renewing has the Lease of the Service web renewed until the end of the test: other tests see
// the controller at rest. It returns when the Lease says so, without which no replica
// can write another holder.
func (s *scene) renewing(duration string) {
	s.Helper()
	s.Cleanup(func() {
		body := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, api.AnnotationLeaseDuration)
		if _, err := client.CoreV1().Services(s.namespace).Patch(context.Background(), "web", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			s.Error(err)
		}
	})
	s.annotate("web", api.AnnotationLeaseDuration, &duration)
	s.eventually("the Lease has a duration", func() error {
		if s.lease("web").Spec.LeaseDurationSeconds == nil {
			return fmt.Errorf("it has none")
		}
		return nil
	})
}

// awaitRenewals waits until the Lease has been renewed so often since it was as given.
func (s *scene) awaitRenewals(since *coordinationv1.Lease, times int) (now *coordinationv1.Lease) {
	s.Helper()
	seen := map[time.Time]bool{since.Spec.RenewTime.Time: true}
	s.eventually(fmt.Sprintf("the Lease is renewed %d times", times), func() error {
		now = s.lease(since.Name)
		seen[now.Spec.RenewTime.Time] = true
		if renewals := len(seen) - 1; renewals < times {
			return fmt.Errorf("it was renewed %d times", renewals)
		}
		return nil
	})
	return now
}

func TestLeaseRenewed(t *testing.T) {
	t.Parallel()
	s := settled(t)
	before := s.lease("web")
	s.renewing("3s")
	after := s.awaitRenewals(before, 4)
	service := s.getService("web")
	for _, lease := range s.leaseVersions(before, after)[1:] {
		if got := ptr.Deref(lease.Spec.LeaseDurationSeconds, 0); got != 3 {
			t.Errorf("the Lease is valid for %d s", got)
		}
		if *lease.Spec.LeaseTransitions != 1 || !lease.Spec.AcquireTime.Equal(before.Spec.AcquireTime) {
			t.Errorf("a renewal changed the Lease: %v", lease.Spec)
		}
	}

	s.annotate("web", api.AnnotationLeaseDuration, nil)
	s.awaitQuiet()
	if got := s.lease("web").Spec.LeaseDurationSeconds; got != nil {
		t.Errorf("the Lease is valid for %d s", *got)
	}
	if now := s.getService("web"); len(now.Spec.Selector) != len(service.Spec.Selector) {
		t.Errorf("the Service was %v and is %v", service.Spec, now.Spec)
	}
	s.awaitMaster("web", "web-0", 1)
}

// A master that fails, but may be at work, is followed when its Lease has expired.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	const duration = 3 * time.Second
	s := settled(t)
	before := s.lease("web")
	s.renewing(duration.String())
	s.awaitRenewals(before, 2)
	s.setReady("web-0", false)
	s.awaitNote("web", string(election.AwaitingExpiry), "web-0 is not Ready")
	after := s.awaitMaster("web", "web-1", 2)
	moved := s.became(2, before, after)
	s.reason(moved, election.HolderNotReady)
	var renewed time.Time
	for _, lease := range s.leaseVersions(before, moved) {
		if *lease.Spec.LeaseTransitions == 1 {
			renewed = lease.Spec.RenewTime.Time
		}
	}
	s.waited(moved.Spec.AcquireTime.Time, renewed, duration)
	// The Lease of the next master is renewed, too.
	s.awaitRenewals(after, 1)
}

// A master that recovers in time stays, and its Lease is renewed as before.
func TestLeaseRenewedAgain(t *testing.T) {
	t.Parallel()
	s := settled(t)
	s.renewing("1h")
	s.setReady("web-0", false)
	s.awaitEvent("web", string(election.AwaitingExpiry))
	s.setReady("web-0", true)
	s.annotate("web", api.AnnotationLeaseDuration, ptr.To("3s"))
	s.awaitRenewals(s.lease("web"), 2)
	s.stays("web", "web-0", 1)
}

// There is no wait for a master that hears of its successor, or is gone.
func TestLeaseNotAwaited(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.pod("web-1", stubborn)
	s.readyPods("web-2")
	s.awaitReady("web-1")
	s.renewing(*long)

	s.editHolder("web", "web-1")
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderEdited)
	s.deletePod("web-1")
	after := s.awaitMasterOf("web", 3)
	s.reason(after, election.HolderTerminating)
	s.release("web-1")

	master := *after.Spec.HolderIdentity
	s.setReady(master, false)
	s.awaitEvent("web", string(election.AwaitingExpiry))
	s.deletePod(master)
	s.reason(s.awaitMasterOf("web", 4), election.HolderGone)
}

// awaitMasterOf waits until a pod is master in that epoch, and Service, pods and
// EndpointSlices follow.
func (s *scene) awaitMasterOf(service string, epoch int32) *coordinationv1.Lease {
	s.Helper()
	var master string
	s.eventually(fmt.Sprintf("epoch %d begins", epoch), func() error {
		lease := s.lease(service)
		if got := *lease.Spec.LeaseTransitions; got != epoch {
			return fmt.Errorf("it is %d", got)
		}
		master = *lease.Spec.HolderIdentity
		return nil
	})
	return s.awaitMaster(service, master, epoch)
}
