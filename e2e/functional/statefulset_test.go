//go:build e2e

package functional

import (
	"fmt"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// A pod that comes back under the former master's name does not become the master.
func TestStatefulSet(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := s.pod(*s.db().Spec.HolderIdentity)
	client := s.request("http://db")

	s.kubectl("delete", "pod", master.Name)
	lease := s.awaitMaster("db", 2, anyPod)
	next := *lease.Spec.HolderIdentity
	client.awaitPod(next)
	s.eventually("the pod is back", func() error {
		pod := s.pods("db")[master.Name]
		if pod.UID == master.UID {
			return fmt.Errorf("the old pod is still there")
		}
		return readiness(pod)
	})
	s.unmoved(lease)
	client.check(0, master.Name, next)
}

// db applies a StatefulSet and its Services, and returns the Lease once there is
// a master.
func (s *scene) db() *coordinationv1.Lease {
	s.Helper()
	s.guard.Opened("db-nodes") // the governing Service
	s.apply("statefulset.yaml")
	s.awaitRollout("statefulset/db")
	return s.awaitMaster("db", 1, anyPod)
}
