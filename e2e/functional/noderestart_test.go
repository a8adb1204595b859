//go:build e2e

package functional

import (
	"fmt"
	"testing"
)

// The master's node goes off and comes back: whatever happens meanwhile, in the
// end a pod that is Ready is the master, and it alone answers.
func TestNodeRestart(t *testing.T) {
	s := newScene(t)
	master := s.pod(*s.web("clusterip.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	if err := cluster.RestartNode(t.Context(), master.Spec.NodeName); err != nil {
		t.Fatal(err)
	}
	s.awaitRestart(master.Name)
	s.awaitRollout("deployment/web")
	lease := s.awaitMaster("web", 0, anybody)
	client.awaitPod(*lease.Spec.HolderIdentity)
	s.Logf("%d transitions: %v", *lease.Spec.LeaseTransitions-1, s.guard.Holders("web"))
	client.check(-1)
}

// awaitRestart waits until a pod's container was restarted and is Ready again.
func (s *scene) awaitRestart(name string) {
	s.Helper()
	s.eventually(name+" is Ready again", func() error {
		pod := s.pod(name)
		if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].RestartCount == 0 {
			return fmt.Errorf("it has not restarted")
		}
		return readiness(*pod)
	})
}
