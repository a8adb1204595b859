//go:build integration

package integration

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

func TestFailback(t *testing.T) {
	t.Parallel()
	const after = 3 * time.Second
	never, back := newScene(t), newScene(t)
	for _, s := range []*scene{never, back} {
		s.readyPods("web-0")
		s.service("web", with(api.AnnotationPrefer, "tier=fast"))
		s.awaitMaster("web", "web-0", 1)
	}
	back.annotate("web", api.AnnotationFailback, ptr.To(after.String()))
	for _, s := range []*scene{never, back} {
		s.pod("web-1", labelled("tier", "fast"))
		s.awaitReady("web-1")
	}

	began := back.lease("web")
	first := back.awaitMaster("web", "web-1", 2)
	back.reason(first, election.PreferredEligible)
	since := later(began.Spec.AcquireTime.Time, readySince(back.getPod("web-1")))
	back.waited(first.Spec.AcquireTime.Time, since, after)

	// A switchover by hand lasts as long, although web-1 has been Ready for longer.
	back.editHolder("web", "web-0")
	second := back.awaitMaster("web", "web-1", 4)
	back.reason(second, election.PreferredEligible)
	edited := back.became(3, first, second)
	back.reason(edited, election.HolderEdited)
	back.waited(second.Spec.AcquireTime.Time, edited.Spec.AcquireTime.Time, after)

	// The preferred pod here has been Ready for longer than that one.
	never.awaitQuiet()
	never.awaitMaster("web", "web-0", 1)
}

func readySince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// waited checks that something did not happen sooner than the time after another.
func (s *scene) waited(at, since time.Time, wait time.Duration) {
	s.Helper()
	took := at.Sub(since)
	if took < wait {
		s.Errorf("it took %s, want %s or more", took, wait)
	}
	s.Logf("it took %s, with a wait of %s", took, wait)
}

// long is a wait that no test sees the end of.
var long = ptr.To("1h")

func TestFailoverDelay(t *testing.T) {
	t.Parallel()
	s := settled(t, with(api.AnnotationFailoverDelay, *long))
	before := s.lease("web")
	s.setReady("web-0", false)
	s.awaitNote("web", string(election.AwaitingHolder), "web-0 is not Ready")
	s.eventually("nobody is served", func() error { return s.endpoints("web") })
	s.setReady("web-0", true)
	s.awaitQuiet()
	if after := s.awaitMaster("web", "web-0", 1); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the Lease was written to: %v", after)
	}

	const delay = 2 * time.Second
	s.annotate("web", api.AnnotationFailoverDelay, ptr.To(delay.String()))
	failed := time.Now()
	s.setReady("web-0", false)
	moved := s.awaitMaster("web", "web-1", 2)
	s.reason(moved, election.HolderNotReady)
	s.waited(moved.Spec.AcquireTime.Time, failed, delay)
}

// A pod that is deleted does not come back, whether it terminates still or is gone.
func TestFailoverDelayEndsWithTheMaster(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.pod("web-0", stubborn)
	s.awaitReady("web-0")
	s.service("web", with(api.AnnotationFailoverDelay, *long))
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1", "web-2")
	s.setReady("web-0", false)
	s.awaitEvent("web", string(election.AwaitingHolder))
	s.deletePod("web-0")
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderTerminating)
	s.release("web-0")

	s.setReady("web-1", false)
	s.awaitQuiet()
	s.stays("web", "web-1", 2)
	s.deletePod("web-1")
	s.awaitMaster("web", "web-2", 3)
}

func TestPaused(t *testing.T) {
	t.Parallel()
	s := settled(t)
	s.annotate("web", api.AnnotationPaused, ptr.To("true"))
	s.editHolder("web", "web-1")
	s.awaitNote("web", string(election.EditRefused), "web-1 cannot become master: the election is paused")
	s.awaitMaster("web", "web-0", 1)
	s.awaitQuiet()

	s.setReady("web-0", false)
	s.awaitNote("web", string(election.ElectionPaused), "web-0 is not Ready")
	s.deletePod("web-0")
	s.awaitQuiet()
	s.stays("web", "web-0", 1)
	if err := s.endpoints("web"); err != nil {
		t.Error(err)
	}

	s.annotate("web", api.AnnotationPaused, nil)
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderGone)
}

// stays checks who the Lease names, which awaitMaster does only of a master that serves.
func (s *scene) stays(lease, master string, epoch int32) {
	s.Helper()
	if l := s.lease(lease); ptr.Deref(l.Spec.HolderIdentity, "") != master || ptr.Deref(l.Spec.LeaseTransitions, 0) != epoch {
		s.Errorf("the Lease's holder is %s in epoch %d, want %s in %d", ptr.Deref(l.Spec.HolderIdentity, ""), ptr.Deref(l.Spec.LeaseTransitions, 0), master, epoch)
	}
}

func TestCandidate(t *testing.T) {
	t.Parallel()
	s := settled(t)
	s.candidate("web-0", "false")
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderExcluded)
	s.editHolder("web", "web-0")
	s.awaitNote("web", string(election.EditRefused), "qoqo.dev/candidate")
	s.setReady("web-1", false)
	s.awaitEvent("web", string(election.NobodyEligible))
	s.awaitQuiet()
	s.stays("web", "web-1", 2)

	// What has no meaning keeps nobody out.
	s.candidate("web-0", "maybe")
	s.awaitNote("web", api.ReasonInvalidAnnotation, `annotation qoqo.dev/candidate of the pod web-0: "maybe" is not valid; allowed: "true" or "false"`)
	s.reason(s.awaitMaster("web", "web-0", 3), election.HolderNotReady)
}

func (s *scene) candidate(pod, value string) {
	s.Helper()
	s.patchPod(pod, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, api.AnnotationCandidate, value))
}
