package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func nodeLease(node string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: node},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NowMicro())},
	}
}

// beat renews the nodes' Leases every 10 s, as kubelets do.
func (c *cluster) beat(times int, nodes ...string) {
	c.Helper()
	leases := c.Users.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for range times {
		for _, node := range nodes {
			fakeapi.Edit(c.Cluster, leases, node, func(l *coordinationv1.Lease) { l.Spec.RenewTime = ptr.To(metav1.NowMicro()) })
		}
		c.Wait(10 * time.Second)
	}
}

// threeNodes have a pod each; the master's is one.
func threeNodes(c *cluster) *started {
	c.Helper()
	c.Create(nodeLease("one"), nodeLease("two"), nodeLease("three"), fakeapi.NewService("web"),
		fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")), fakeapi.NewPod("web-2", fakeapi.OnNode("three")))
	s := c.start()
	c.beat(3, "one", "two", "three")
	c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
	s.client.ClearActions()
	return s
}

func TestMasterOnADeadNodeIsReplaced(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.beat(1, "two", "three")
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests before the timeout: %v", requests)
		}
		c.beat(1, "two", "three")
		c.expectEvents(s, "Normal NodeSilent Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that no longer gives signs of life")
		want := []string{"get leases one", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "patch services web"}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		// It does not come back with its node.
		s.client.ClearActions()
		c.beat(6, "one", "two", "three")
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests when the node is back: %v", requests)
		}
	})
}

// If no node is heard the API server is at fault, not the nodes.
func TestNoMasterMovesWhenAllNodesFallSilent(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.Wait(5 * time.Minute)
		c.beat(6, "one", "two", "three")
		c.expectEvents(s)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests: %v", requests)
		}
	})
}

// A pod that only seems to be on a dead node can be elected.
func TestDeadNodeIsConfirmedOfTheOthersToo(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.beat(3, "one", "three")
		c.EditPod("web-0", fakeapi.SetTerminating)
		c.Settle()
		c.expectEvents(s, "Normal HolderTerminating Failover on web about web-2: master moved from web-0 to web-2 in epoch 2: web-0 is terminating")
	})
}

func TestHeartbeatsOfAnElectionThatHasEnded(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		s.client.ClearActions()
		c.beat(6, "two", "three")
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests: %v", requests)
		}
	})
}
