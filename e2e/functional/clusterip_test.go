//go:build e2e

package functional

import (
	"testing"

	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// One pod gets all the traffic, and another pod does when its readiness probe fails.
func TestClusterIP(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := *s.web("clusterip.yaml").Spec.HolderIdentity
	client := s.request("http://web")
	client.check(0, master)

	s.setReady(master, false)
	lease := s.awaitMaster("web", 2, anyPod)
	next := ptr.Deref(lease.Spec.HolderIdentity, "")
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderNotReady) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	client.awaitPod(next)

	// When it is Ready again, it does not become the master again.
	s.setReady(master, true)
	s.eventually("the former master is Ready again", func() error { return readiness(*s.pod(master)) })
	s.unmoved(lease)
	client.check(-1, master, next)
}
