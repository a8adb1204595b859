//go:build e2e

package functional

import (
	"strings"
	"testing"
)

// What the pods of examples/worker log.
const (
	workerBegan   = "this pod is the master"
	workerWorks   = "working"
	workerStopped = "stopped"
)

// The master of examples/worker works, and a former master stops.
func TestWorkerExample(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.example("worker")
	s.awaitRollout("deployment/worker")
	master := *s.awaitMaster("worker", 1, anyPod).Spec.HolderIdentity
	s.awaitWork(master)
	for name := range s.pods("worker") {
		if log := s.log(name); name != master && len(log) > 0 {
			t.Errorf("%s logs %q, but is a standby", name, log[0].text)
		}
	}

	next := s.standby("worker")
	s.editHolder("worker", next)
	s.awaitMaster("worker", 2, next)
	s.awaitWork(next)
	s.awaitLine(master, workerStopped)
	// The new master has worked some more by then, and the old one has not.
	if log := s.log(master); !strings.HasSuffix(log[len(log)-1].text, workerStopped) {
		t.Errorf("the former master's log ends with %q", log[len(log)-1].text)
	}

	s.kubectl("delete", "pod", next)
	last := *s.awaitMaster("worker", 3, anyPod).Spec.HolderIdentity
	s.awaitWork(last)

	s.guard.MayGo("worker")
	s.kubectl("delete", "-f", cluster.Path("examples", "worker"))
	s.awaitNothingLeft()
}

// awaitWork waits until a pod has begun to work as the master.
func (s *scene) awaitWork(pod string) {
	s.Helper()
	s.awaitLine(pod, workerBegan)
	s.awaitLine(pod, workerWorks)
}
