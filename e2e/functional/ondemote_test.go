//go:build e2e

package functional

import (
	"fmt"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A client that keeps its connection stays with the former master. If on-demote deletes
// that pod, the connection ends with it, and the next connection leads to the master.
func TestOnDemote(t *testing.T) {
	t.Parallel()
	for _, onDemote := range []string{api.OnDemoteNone, api.OnDemoteDelete} {
		t.Run(onDemote, func(t *testing.T) {
			s := newScene(t)
			master := s.pod(*s.web("clusterip.yaml", api.AnnotationOnDemote+"="+onDemote).Spec.HolderIdentity)
			client, kept := s.request("http://web"), s.keep("http://web")
			next := s.standby("web")
			s.editHolder("web", next)
			lease := s.awaitMaster("web", 2, next)
			moved := lease.Spec.AcquireTime.Time
			client.awaitPod(next)

			connections, answered := 1, []string{master.Name}
			if onDemote == api.OnDemoteDelete {
				connections, answered = 2, []string{master.Name, next}
				kept.awaitPod(next)
				t.Logf("with a connection that is kept, %s the move", kept.handedOver(master.Name, next, moved))
				s.eventually("the former master is gone", func() error {
					if pod, found := s.pods("web")[master.Name]; found {
						return fmt.Errorf("it is there, with deletionTimestamp %s", pod.DeletionTimestamp)
					}
					return nil
				})
				s.awaitRollout("deployment/web")
			} else {
				kept.awaitPod(master.Name)
				if deleted := s.pod(master.Name).DeletionTimestamp; deleted != nil {
					t.Errorf("%s has deletionTimestamp %s, want none", master.Name, deleted)
				}
			}
			if got := kept.connections(); got != connections {
				t.Errorf("%d connections, want %d", got, connections)
			}
			kept.check(0, answered...)
			t.Logf("with new connections, %s the move", client.handedOver(master.Name, next, moved))
			client.check(0, master.Name, next)
			s.unmoved(lease)
		})
	}
}
