package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func (c *cluster) deleteNode(name string) {
	c.Helper()
	c.Delete(c.Users.CoreV1().Nodes(), name)
}

// An autoscaler deletes a node. Kubernetes deletes its pods only half a minute later.
func TestMasterWhoseNodeIsDeletedIsReplaced(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.deleteNode("one")
		c.Wait(time.Second)
		c.expectEvents(s, "Normal NodeGone Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that no longer exists")
		want := []string{"get pods web-0", "get nodes one", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "patch services web"}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		// No pod goes to the next node that is deleted.
		c.deleteNode("three")
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Warning NobodyEligible Check on web: no pod is eligible, so web-1 stays master in epoch 2")
	})
}

// A pod is Ready before this replica has heard of the pod's node.
func TestNodeThatIsNotHeardOfIsNotGone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"))
		s := c.prepare()
		s.behind["nodes"] = time.Minute
		c.run(s)
		c.Wait(2 * time.Minute)
		c.Create(fakeapi.NewPod("web-0", fakeapi.OnNode("one")))
		c.Wait(time.Second)
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		c.Create(fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		c.SwitchTo("web", "web-1")
		c.Wait(time.Second)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited")
	})
}

// A replica that may no longer read nodes does not take those for gone of which it hears nothing.
func TestNodesThatMustNotBeRead(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		c.failing("get", "nodes", apierrors.NewForbidden(corev1.Resource("nodes"), "", errors.New("no rights")))
		c.deleteNode("one")
		c.Settle()
		c.expectEvents(s)
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
	})
}
