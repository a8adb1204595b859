//go:build e2e

package functional

import (
	"context"
	"os"
	"testing"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/pkg/api"
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

// From version 0.1.0 to the present one, back and forward again, by applying manifests: masters and
// epochs stay, clients lose nothing, and each version moves masters.
func TestUpgradeFromTheFirst(t *testing.T) {
	former := cluster.Path("bin", "former", "manifests")
	if _, err := os.Stat(former); err != nil {
		t.Skip("this clone lacks the source of version 0.1.0; git fetch --unshallow gets it")
	}
	s := newScene(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(cluster.Load(t.Context(), formerImage))
	t.Cleanup(func() { // for the other tests
		if err := cluster.Install(context.Background(), controllerImage); err != nil {
			t.Error(err)
		}
	})
	must(cluster.Uninstall(t.Context()))
	must(cluster.InstallFrom(t.Context(), formerImage, former))

	master := *s.web("clusterip.yaml").Spec.HolderIdentity
	client := s.request("http://web")
	must(cluster.Install(t.Context(), controllerImage))
	s.kubectl("wait", "--timeout=90s", "--for=condition="+api.ConditionMasterReady, "service/web")
	s.awaitMaster("web", 1, master)
	client.check(0, master)
	next := s.standby("web")
	s.editHolder("web", next)
	s.awaitMaster("web", 2, next)
	client.awaitPod(next)

	must(cluster.InstallFrom(t.Context(), formerImage, former))
	s.awaitMaster("web", 2, next)
	client.check(0, master, next)
	s.editHolder("web", master)
	s.awaitMaster("web", 3, master)
	client.awaitPod(master)

	must(cluster.Install(t.Context(), controllerImage))
	s.awaitMaster("web", 3, master)
	s.editHolder("web", next)
	client.awaitPod(next)
	client.check(0, master, next)
}
