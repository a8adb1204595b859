//go:build e2e

package functional

import (
	"fmt"
	"testing"
)

// After the master's node has gone off and come back, the master is a Ready pod, and no
// other pod answers, whatever happened in between.
func TestNodeRestart(t *testing.T) {
	s := newScene(t)
	master := s.pod(*s.web("clusterip.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	if err := cluster.RestartNode(t.Context(), master.Spec.NodeName); err != nil {
		t.Fatal(err)
	}
	s.awaitRestart(master.Name)
	s.awaitRollout("deployment/web")
	lease := s.awaitMaster("web", 0, anyPod)
	client.awaitPod(*lease.Spec.HolderIdentity)
	s.Logf("%d transitions: %v", *lease.Spec.LeaseTransitions-1, s.guard.Holders("web"))
	client.check(-1)
}

// awaitRestart waits until a pod's container has restarted and the pod is Ready again.
func (s *scene) awaitRestart(name string) {
	s.Helper()
	s.eventually(name+" is Ready again", func() error {
		pod := s.pod(name)
		if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].RestartCount == 0 {
			return fmt.Errorf("its container has not restarted")
		}
		return readiness(*pod)
	})
}
