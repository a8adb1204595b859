//go:build e2e

package functional

import (
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Editing the Lease's holder moves the master, and clients lose nothing.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	masters := []string{*s.web("clusterip.yaml").Spec.HolderIdentity}
	client := s.request("http://web")
	for epoch := range int32(4) {
		next := s.standby("web")
		s.editHolder("web", next)
		lease := s.awaitMaster("web", epoch+2, next)
		if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderEdited) {
			t.Errorf("the Lease's reason is %s", reason)
		}
		client.awaitPod(next)
		masters = append(masters, next)
	}
	client.check(0, masters...)
}
