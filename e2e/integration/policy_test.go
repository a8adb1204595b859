//go:build integration

package integration

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// The highest priority follows a master that fails, and alone moves none. With failback it moves it.
func TestPriority(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0", "web-1", "web-2")
	s.service("web")
	s.awaitHolder("web", "web-0", election.FirstEligible)
	s.patchPod("web-2", `{"metadata":{"annotations":{"qoqo.dev/priority":"5"}}}`)
	s.patchPod("web-1", `{"metadata":{"annotations":{"qoqo.dev/priority":"high"}}}`)
	if note := s.awaitEvent("web", api.ReasonInvalidAnnotation); !strings.Contains(note, `annotation qoqo.dev/priority of the pod web-1: "high" is not valid`) {
		t.Errorf("the event is %q", note)
	}
	s.awaitQuiet()
	s.awaitHolder("web", "web-0", election.FirstEligible)
	s.setReady("web-0", false)
	s.awaitHolder("web", "web-2", election.HolderNotReady)
	s.patchPod("web-1", `{"metadata":{"annotations":{"qoqo.dev/priority":"6"}}}`)
	s.awaitQuiet()
	s.awaitHolder("web", "web-2", election.HolderNotReady)
	s.annotate("web", api.AnnotationFailback, ptr.To("0s"))
	s.awaitHolder("web", "web-1", election.HigherPriority)
}

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

	// Without the setting the preferred pod never becomes master, although it has been Ready
	// for longer.
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
	const delay = 2 * time.Second
	s := settled(t, with(api.AnnotationFailoverDelay, delay.String()))
	failed := time.Now()
	s.setReady("web-0", false)
	moved := s.awaitMaster("web", "web-1", 2)
	s.reason(moved, election.HolderNotReady)
	s.waited(moved.Spec.AcquireTime.Time, failed, delay)
}

// stays checks the Lease alone: awaitMaster also checks that its holder serves.
func (s *scene) stays(lease, master string, epoch int32) {
	s.Helper()
	if l := s.lease(lease); ptr.Deref(l.Spec.HolderIdentity, "") != master || ptr.Deref(l.Spec.LeaseTransitions, 0) != epoch {
		s.Errorf("the Lease's holder is %s in epoch %d, want %s in %d", ptr.Deref(l.Spec.HolderIdentity, ""), ptr.Deref(l.Spec.LeaseTransitions, 0), master, epoch)
	}
}
