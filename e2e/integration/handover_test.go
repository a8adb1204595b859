//go:build integration

package integration

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// stubborn makes a pod whose processes do not stop before it is released.
func stubborn(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/does-not-stop"} }

func (s *scene) release(pod string) {
	s.Helper()
	s.patchPod(pod, `{"metadata":{"finalizers":null}}`)
}

// The next master is elected once the former one is gone, which is deleted once.
func TestElectedAfterTheFormerIsGone(t *testing.T) {
	tests := map[string]func(*scene){
		"a switchover": func(s *scene) { s.editHolder("web", "web-1") },
		"a failover":   func(s *scene) { s.setReady("web-0", false) },
	}
	for name, move := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			master := s.pod("web-0", stubborn)
			s.awaitReady("web-0")
			s.service("web", with(api.AnnotationHandover, api.HandoverAfterTermination), with(api.AnnotationOnDemote, api.OnDemoteDelete))
			s.awaitMaster("web", "web-0", 1)
			s.readyPods("web-1")
			before := s.awaitMaster("web", "web-0", 1)
			move(s)
			s.eventually("the master is deleted", func() error {
				if s.getPod("web-0").DeletionTimestamp == nil {
					return fmt.Errorf("it is not")
				}
				return nil
			})
			s.awaitQuiet()
			s.release("web-0")
			s.electedAfterItsEnd(master, before, s.awaitMaster("web", "web-1", 2))
			s.awaitQuiet()
			if diff := gocmp.Diff([]string{"web-0"}, s.deletions()); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
		})
	}
}
