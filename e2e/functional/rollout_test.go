//go:build e2e

package functional

import (
	"fmt"
	"testing"
)

// A rollout of a Deployment moves the master once, to a new pod, because the master's pod
// is replaced last. Clients lose nothing, because pods terminate gracefully.
func TestDeploymentRollout(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]string{
		"with surge":    `{"maxSurge":1,"maxUnavailable":0}`,
		"without surge": `{"maxSurge":0,"maxUnavailable":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			master := *s.web("clusterip.yaml").Spec.HolderIdentity
			s.kubectl("patch", "deployment", "web", "-p", `{"spec":{"strategy":{"rollingUpdate":`+strategy+`}}}`)
			s.rollout("deployment/web", "web", master, 1)
		})
	}
}

// A StatefulSet replaces its pods one by one, that of the highest number first. A master
// with the highest number moves at once, to the lowest number, and once more when that
// pod is replaced. Any other master moves once, to a pod that has been replaced.
func TestStatefulSetRollout(t *testing.T) {
	t.Parallel()
	for master, transitions := range map[string]int{"db-0": 1, "db-1": 1, "db-2": 2} {
		t.Run(master, func(t *testing.T) {
			s := newScene(t)
			if lease := s.db(); *lease.Spec.HolderIdentity != master {
				s.editHolder("db", master)
				s.awaitMaster("db", 2, master)
			}
			s.rollout("statefulset/db", "db", master, transitions)
		})
	}
}

// rollout restarts a workload. It fails the test if a request is lost, or if there are
// not that many transitions.
func (s *scene) rollout(workload, service, master string, transitions int) {
	s.Helper()
	client := s.request("http://" + service)
	client.awaitPod(master)
	before, old := s.lease(service), s.pod(master).UID
	s.kubectl("rollout", "restart", workload)
	s.awaitRollout(workload)
	s.eventually("the old pod is gone", func() error {
		if pod, found := s.pods(service)[master]; found && pod.UID == old {
			return fmt.Errorf("the old pod is still there")
		}
		return nil
	})
	lease := s.awaitMaster(service, 0, anyPod)
	client.awaitPod(*lease.Spec.HolderIdentity)
	if got := int(*lease.Spec.LeaseTransitions - *before.Spec.LeaseTransitions); got != transitions {
		s.Errorf("%d transitions, want %d: %v", got, transitions, s.guard.Holders(service))
	}
	client.check(0)
}
