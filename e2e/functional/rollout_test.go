//go:build e2e

package functional

import (
	"fmt"
	"testing"
)

// A rollout of a Deployment moves the master to a new pod, once, as the master
// is spared to the last; clients lose nothing, as pods terminate gracefully.
func TestDeploymentRollout(t *testing.T) {
	s := newScene(t)
	master := *s.web("clusterip.yaml").Spec.HolderIdentity
	client := s.request("http://web")
	s.rollout("deployment/web", "web", client, master)
	if holders := s.guard.Holders("web"); len(holders) != 2 {
		t.Errorf("%d transitions, want 1", len(holders)-1)
	}
}

// A StatefulSet replaces its pods in the order of their numbers, so that the
// master moves once at best, and never twice to the same incarnation.
func TestStatefulSetRollout(t *testing.T) {
	s := newScene(t)
	master := *s.db().Spec.HolderIdentity
	client := s.request("http://db")
	s.rollout("statefulset/db", "db", client, master)
	if holders := s.guard.Holders("db"); len(holders) > 3 {
		t.Errorf("%d transitions, want 2 at most", len(holders)-1)
	}
}

// rollout restarts a workload and checks that all went well.
func (s *scene) rollout(workload, service string, client *clientPod, master string) {
	s.Helper()
	old := s.pod(master).UID
	s.kubectl("rollout", "restart", workload)
	s.awaitRollout(workload)
	s.eventually("the old pod is gone", func() error {
		if pod, found := s.pods(service)[master]; found && pod.UID == old {
			return fmt.Errorf("it is still there")
		}
		return nil
	})
	lease := s.awaitMaster(service, 0, anybody)
	client.awaitPod(*lease.Spec.HolderIdentity)
	s.Logf("%d transitions: %v", *lease.Spec.LeaseTransitions-1, s.guard.Holders(service))
	client.check(0)
}
