//go:build e2e

package functional

import (
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// A master that hangs is replaced before its readiness probe notices.
func TestProbe(t *testing.T) {
	s := newScene(t)
	master := s.pod(*s.web("probed.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	if err := cluster.Signal(t.Context(), s.namespace, master.Name, "SIGSTOP"); err != nil {
		t.Fatal(err)
	}
	lease := s.awaitMaster("web", 2, anybody)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderUnresponsive) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	client.awaitPod(*lease.Spec.HolderIdentity)
	// Both replicas of the controller have heard of it by now, and it stays.
	s.kubectl("delete", "pod", master.Name, "--grace-period=0", "--force")
	s.awaitRollout("deployment/web")
	s.unmoved(lease)
	client.check(-1, master.Name, *lease.Spec.HolderIdentity)
}
