//go:build e2e

package functional

import (
	"testing"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
)

// During a rolling restart of the controller the master stays, and clients lose nothing.
func TestUpgrade(t *testing.T) {
	s := newScene(t)
	lease := s.web("clusterip.yaml")
	master := *lease.Spec.HolderIdentity
	client := s.request("http://web")
	assert.Must(cluster.Kubectl(t.Context(), "", "-n", kind.Namespace, "rollout", "restart", kind.Deployment))(s)
	if err := cluster.AwaitRollout(t.Context(), kind.Namespace, kind.Deployment); err != nil {
		t.Fatal(err)
	}
	next := s.standby("web")
	s.unmoved(lease)
	client.check(0, master)

	// The new replicas work.
	s.editHolder("web", next)
	client.awaitPod(next)
	client.check(0, master, next)
}
