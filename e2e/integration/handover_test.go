//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// stubborn makes a pod whose processes do not stop before it is released.
func stubborn(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/does-not-stop"} }

func (s *scene) release(pod string) {
	s.Helper()
	s.patchPod(pod, `{"metadata":{"finalizers":null}}`)
}

// oneAtATime is a scene with a Service web whose next master has to wait until
// the former has stopped. The master is web-0, which is stubborn; web-1 and web-2 are
// Ready.
func oneAtATime(t *testing.T, change ...func(*corev1.Service)) (s *scene, master *corev1.Pod) {
	t.Helper()
	s = newScene(t)
	master = s.pod("web-0", stubborn)
	s.awaitReady("web-0")
	s.service("web", append(change, with(api.AnnotationHandover, api.HandoverAfterTermination))...)
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1", "web-2")
	s.awaitMaster("web", "web-0", 1)
	return s, master
}

func deletingDemoted(service *corev1.Service) {
	with(api.AnnotationOnDemote, api.OnDemoteDelete)(service)
}

// stillMaster checks that nobody has followed web-0, which is terminating.
func (s *scene) stillMaster(next string) {
	s.Helper()
	s.eventually("nobody is served", func() error { return s.endpoints("web") })
	s.awaitQuiet()
	s.stays("web", "web-0", 1)
	if got := s.lease("web").Annotations[api.AnnotationNextHolder]; got != next {
		s.Errorf("the next holder is %q, want %q", got, next)
	}
	if s.getPod("web-0").DeletionTimestamp == nil {
		s.Error("web-0 is not terminating")
	}
}

func TestAfterTermination(t *testing.T) {
	t.Parallel()
	s, master := oneAtATime(t)
	before := s.lease("web")
	s.deletePod("web-0")
	s.stillMaster("")

	s.release("web-0")
	after := s.awaitMaster("web", "web-1", 2)
	s.reason(after, election.HolderGone)
	s.electedAfterItsEnd(master, before, after)
	if deleted := s.deletions(); len(deleted) > 0 {
		t.Errorf("%v are deleted", deleted)
	}
}

// A pod that has ended, as an evicted one does, stays as an object only.
func TestAfterTerminationOfTheProcesses(t *testing.T) {
	t.Parallel()
	s, _ := oneAtATime(t)
	assert.Must(client.CoreV1().Pods(s.namespace).Patch(s.Context(), "web-0", types.MergePatchType, []byte(`{"status":{"phase":"Failed"}}`), metav1.PatchOptions{}, "status"))(s)
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderFinished)
	s.release("web-0")
}

// Without leave to delete it, who is not Ready stays master until somebody else does.
func TestAfterTerminationByHand(t *testing.T) {
	t.Parallel()
	s, master := oneAtATime(t)
	before := s.lease("web")
	s.editHolder("web", "web-2")
	s.awaitNote("web", string(election.EditRefused), "web-2 cannot become master: the master has to stop first")
	s.awaitMaster("web", "web-0", 1)
	s.setReady("web-0", false)
	s.awaitNote("web", string(election.AwaitingTermination), "web-0 is not Ready")
	s.awaitQuiet()
	s.stays("web", "web-0", 1)
	if deleted := s.deletions(); len(deleted) > 0 {
		t.Errorf("%v are deleted", deleted)
	}

	s.deletePod("web-0")
	s.stillMaster("")
	s.release("web-0")
	after := s.awaitMaster("web", "web-1", 2)
	s.electedAfterItsEnd(master, before, after)
}

func TestAfterTerminationDeletes(t *testing.T) {
	tests := map[string]struct {
		move        func(*scene)
		note        string
		asked, next string
		reason      election.Reason
	}{
		"a switchover": {
			func(s *scene) { s.editHolder("web", "web-2") },
			"web-2 was asked for", "web-2", "web-2", election.HolderEdited,
		},
		"a failover": {
			func(s *scene) { s.setReady("web-0", false) },
			"web-0 is not Ready", "", "web-1", election.HolderGone,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, master := oneAtATime(t, deletingDemoted)
			before := s.lease("web")
			test.move(s)
			s.eventually("the master is deleted", func() error {
				if s.getPod("web-0").DeletionTimestamp == nil {
					return fmt.Errorf("it is not")
				}
				return nil
			})
			s.stillMaster(test.asked)
			s.eventually("it is said why", func() error {
				for _, e := range s.events("web") {
					if strings.HasPrefix(e.Note, "web-0 is deleted") && strings.HasSuffix(e.Note, test.note) {
						return nil
					}
				}
				return fmt.Errorf("it is not")
			})

			s.release("web-0")
			after := s.awaitMaster("web", test.next, 2)
			s.reason(after, test.reason)
			s.electedAfterItsEnd(master, before, after)
			if next, found := after.Annotations[api.AnnotationNextHolder]; found {
				t.Errorf("the next holder is still %q", next)
			}
			s.awaitQuiet()
			if diff := gocmp.Diff([]string{"web-0"}, s.deletions()); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
		})
	}
}

// Who was asked for may fail in the meantime.
func TestAfterTerminationNextFails(t *testing.T) {
	t.Parallel()
	s, _ := oneAtATime(t, deletingDemoted)
	s.editHolder("web", "web-2")
	s.eventually("web-2 is to follow", func() error {
		if next := s.lease("web").Annotations[api.AnnotationNextHolder]; next != "web-2" {
			return fmt.Errorf("it is %q", next)
		}
		return nil
	})
	s.setReady("web-2", false)
	s.release("web-0")
	after := s.awaitMaster("web", "web-1", 2)
	if next, found := after.Annotations[api.AnnotationNextHolder]; found {
		t.Errorf("the next holder is still %q", next)
	}
}
