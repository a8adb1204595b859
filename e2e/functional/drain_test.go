//go:build e2e

package functional

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// A drain of the master's node moves the master once, to a pod on another node, and usually before the
// eviction. Clients lose nothing.
func TestDrain(t *testing.T) {
	for workload, start := range map[string]func(*scene) *coordinationv1.Lease{
		"deployment/web": func(s *scene) *coordinationv1.Lease { return s.web("clusterip.yaml") },
		"statefulset/db": (*scene).db,
	} {
		t.Run(workload, func(t *testing.T) {
			s := newScene(t)
			lease := start(s)
			service := lease.Name
			master := s.pod(*lease.Spec.HolderIdentity)
			client := s.request("http://" + service)
			node := master.Spec.NodeName
			s.drain(node, "--ignore-daemonsets", "--delete-emptydir-data", "--force")
			lease = s.awaitMaster(service, 2, anyPod)
			// kubectl evicts some 100 ms after it has cordoned the node: where CPU time lacks, that may come first.
			switch reason := lease.Annotations[api.AnnotationReason]; election.Reason(reason) {
			case election.NodeUnschedulable, election.HolderTerminating:
				t.Logf("the master moved because of %s", reason)
			default:
				t.Errorf("the Lease's reason is %s", reason)
			}
			next := s.pod(*lease.Spec.HolderIdentity)
			if next.Spec.NodeName == node {
				t.Errorf("the master is still on %s", node)
			}
			client.awaitPod(next.Name)
			s.awaitRollout(workload)
			s.unmoved(lease)
			client.check(0, master.Name, next.Name)
		})
	}
}

// drain drains a node. After the test it is uncordoned.
func (s *scene) drain(node string, options ...string) {
	s.Helper()
	s.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), "", "uncordon", node); err != nil {
			s.Error(err)
		}
	})
	s.kubectl(append([]string{"drain", node, "--timeout=3m"}, options...)...)
}
