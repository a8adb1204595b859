//go:build e2e

package functional

import (
	"context"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// When the master's node dies, another pod becomes master before Kubernetes marks the old
// master NotReady, and stays the master when the node is back.
func TestNodeOff(t *testing.T) {
	s := newScene(t)
	master := s.pod(*s.web("clusterip.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	t.Cleanup(func() {
		if err := cluster.Docker(context.Background(), master.Spec.NodeName, "start"); err != nil {
			t.Error(err)
		}
	})
	if err := cluster.Docker(t.Context(), master.Spec.NodeName, "kill"); err != nil {
		t.Fatal(err)
	}
	lease := s.awaitMaster("web", 2, anyPod)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.NodeSilent) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	if !isReady(*s.pod(master.Name)) {
		t.Error("Kubernetes has marked the old master NotReady before the failover")
	}
	client.awaitPod(*lease.Spec.HolderIdentity)

	if err := cluster.Docker(t.Context(), master.Spec.NodeName, "start"); err != nil {
		t.Fatal(err)
	}
	s.awaitRestart(master.Name)
	s.awaitRollout("deployment/web")
	s.unmoved(lease)
	client.check(-1)
}
