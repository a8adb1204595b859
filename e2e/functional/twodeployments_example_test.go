//go:build e2e

package functional

import (
	"strings"
	"testing"
)

// The master of examples/two-deployments is the primary, whenever that can serve.
func TestTwoDeploymentsExample(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.example("two-deployments")
	s.awaitRollout("deployment/shop-primary")
	s.awaitRollout("deployment/shop-backup")
	pod := func(tier string) string {
		t.Helper()
		return s.kubectl("get", "pods", "-l", "app=shop,tier="+tier, "-o", "jsonpath={.items[0].metadata.name}")
	}
	primary, backup := pod("primary"), pod("backup")
	// The backup is the first master if it was Ready first.
	s.awaitMaster("shop", 0, primary)

	s.kubectl("exec", "deployment/shop-primary", "--", "rm", "/www/healthy")
	s.awaitMaster("shop", 0, backup)
	s.kubectl("exec", "deployment/shop-primary", "--", "touch", "/www/healthy")
	back := s.awaitMaster("shop", 0, primary)

	s.kubectl("scale", "deployment/shop-primary", "--replicas=0")
	s.awaitMaster("shop", *back.Spec.LeaseTransitions+1, backup)
	s.kubectl("scale", "deployment/shop-primary", "--replicas=1")
	if back = s.awaitMaster("shop", *back.Spec.LeaseTransitions+2, anyPod); !strings.HasPrefix(*back.Spec.HolderIdentity, "shop-primary-") {
		t.Errorf("the master is %s, want a pod of the primary", *back.Spec.HolderIdentity)
	}

	s.guard.MayGo("shop")
	s.kubectl("delete", "-f", cluster.Path("examples", "two-deployments"))
	s.awaitNothingLeft()
}
