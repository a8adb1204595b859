//go:build e2e

package functional

import (
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// With probes, a master that hangs is replaced before its readiness probe fails.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := s.pod(*s.web("probed.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	if err := cluster.Signal(t.Context(), s.namespace, master.Name, "SIGSTOP"); err != nil {
		t.Fatal(err)
	}
	lease := s.awaitMaster("web", 2, anyPod)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderUnresponsive) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	client.awaitPod(*lease.Spec.HolderIdentity)
	// After this, both replicas of the controller have seen the move, and the master stays.
	s.kubectl("delete", "pod", master.Name, "--grace-period=0", "--force")
	s.awaitRollout("deployment/web")
	s.unmoved(lease)
	client.check(-1, master.Name, *lease.Spec.HolderIdentity)
}
