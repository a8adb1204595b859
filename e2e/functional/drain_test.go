//go:build e2e

package functional

import (
	"context"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// A drain of the master's node moves the master once, to a pod that stays, and
// clients lose nothing, as the pod terminates gracefully.
func TestDrain(t *testing.T) {
	s := newScene(t)
	master := s.pod(*s.web("clusterip.yaml").Spec.HolderIdentity)
	client := s.request("http://web")
	node := master.Spec.NodeName
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), "", "uncordon", node); err != nil {
			t.Error(err)
		}
	})
	s.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=3m")
	lease := s.awaitMaster("web", 2, anybody)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderTerminating) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	next := s.pod(*lease.Spec.HolderIdentity)
	if next.Spec.NodeName == node {
		t.Errorf("the master is still on %s", node)
	}
	client.awaitPod(next.Name)
	s.awaitRollout("deployment/web")
	s.unmoved(lease)
	client.check(0, master.Name, next.Name)
}
