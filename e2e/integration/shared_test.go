//go:build integration

package integration

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Services of one Lease that ask for different things: whose settings count.
func TestDifferingSettings(t *testing.T) {
	tests := map[string]struct{ lease, older, younger, followed, unfollowed string }{
		"the Service's of the Lease's name":             {"web", "another", "web", "web", "another"},
		"the oldest Service's, if none is of that name": {"shared", "web-b", "web-a", "web-b", "web-a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			prefer := map[string]string{test.followed: "tier=fast", test.unfollowed: "tier=slow"}
			s.readyPods("web-0")
			older := s.service(test.older, with(api.AnnotationLeaseName, test.lease), with(api.AnnotationPrefer, prefer[test.older]))
			s.awaitMaster(test.older, "web-0", 1)
			s.eventually("a Service that is created now is younger", func() error { return past(older.CreationTimestamp.Add(time.Second)) })
			s.service(test.younger, with(api.AnnotationLeaseName, test.lease), with(api.AnnotationPrefer, prefer[test.younger]))
			s.awaitMaster(test.younger, "web-0", 1)
			s.awaitNote(test.unfollowed, api.ReasonDifferingSettings,
				"the Service "+test.followed+", whose settings apply, but differ in qoqo.dev/prefer")

			for pod, tier := range map[string]string{"web-1": "slow", "web-2": "fast"} {
				s.pod(pod, labelled("tier", tier))
				s.awaitReady(pod)
			}
			s.setReady("web-0", false)
			s.awaitMaster(test.older, "web-2", 2)
			s.awaitMaster(test.younger, "web-2", 2)
			for _, e := range s.events(test.followed) {
				if e.Reason == api.ReasonDifferingSettings {
					t.Errorf("the one that is followed got %q", e.Note)
				}
			}
		})
	}
}

func TestNoCommonCandidate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0")
	s.pod("db-0", labelled("app", "db"))
	s.service("web", with(api.AnnotationLeaseName, "shared"))
	s.service("db", with(api.AnnotationLeaseName, "shared"), func(service *corev1.Service) { service.Spec.Selector["app"] = "db" })
	for _, service := range []string{"web", "db"} {
		s.awaitNote(service, api.ReasonNoCommonCandidate, "no pod is selected by all Services")
	}
	s.guard.MayGo("shared")
	s.annotate("db", api.AnnotationLeaseName, nil)
	s.annotate("web", api.AnnotationLeaseName, nil)
	s.awaitMaster("web", *s.awaitLease("web").Spec.HolderIdentity, *s.lease("web").Spec.LeaseTransitions)
}

// It is enough that one of the Services is paused, whichever that is.
func TestPausedByAnyService(t *testing.T) {
	t.Parallel()
	s := settled(t)
	s.service("web-nodes", with(api.AnnotationLeaseName, "web"), with(api.AnnotationPaused, "true"))
	s.awaitMaster("web-nodes", "web-0", 1)
	s.setReady("web-0", false)
	for _, service := range []string{"web", "web-nodes"} {
		s.awaitNote(service, string(election.ElectionPaused), "web-0 is not Ready, but stays master")
	}
	s.awaitQuiet()
	s.stays("web", "web-0", 1)
	s.annotate("web-nodes", api.AnnotationPaused, ptr.To("false"))
	s.awaitMaster("web", "web-1", 2)
	s.awaitMaster("web-nodes", "web-1", 2)
}
