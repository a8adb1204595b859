package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func onNode(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeName = name }
}

// cordon and uncordon are what kubectl does.
func (c *cluster) cordon(node string)   { c.setUnschedulable(node, true) }
func (c *cluster) uncordon(node string) { c.setUnschedulable(node, false) }

func (c *cluster) setUnschedulable(node string, unschedulable bool) {
	c.Helper()
	edit(c, c.users.CoreV1().Nodes(), node, func(n *corev1.Node) { n.Spec.Unschedulable = unschedulable })
}

func schedulable(name string) *corev1.Node {
	node := cordoned(name)
	node.Spec.Unschedulable = false
	return node
}

func TestMasterComesToANodeThatIsUncordoned(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(cordoned("one"), cordoned("two"), newService("web"), newPod("web-0", onNode("one")), newPod("web-1", onNode("two")))
		c.start()
		c.settle()
		if got := *c.lease().Spec.HolderIdentity; got != "web-0" {
			t.Fatalf("%s is master", got)
		}
		c.uncordon("two")
		c.settle()
		c.expect(
			"Lease web: web-1 @2 NodeUnschedulable, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestMasterLeavesACordonedNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(schedulable("one"), schedulable("two"), newService("web"), newPod("web-0", onNode("one")), newPod("web-1", onNode("two")))
		s := c.start()
		c.settle()
		s.events.take()
		s.client.ClearActions()
		c.cordon("one")
		c.settle()
		c.expect(
			"Lease web: web-1 @2 NodeUnschedulable, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		c.expectEvents(s, "Normal NodeUnschedulable Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that is unschedulable")
		want := []string{"get nodes one", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1"}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}

		// Neither does the master go back, nor is it worth to go from one such
		// node to another.
		s.client.ClearActions()
		c.uncordon("one")
		c.settle()
		c.cordon("one")
		c.cordon("two")
		c.settle()
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %v", writes)
		}
	})
}

func TestMasterStaysWhileNobodyElsewhereIsEligible(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(cordoned("one"), schedulable("two"), newService("web"), newPod("web-0", onNode("one")), newPod("web-1", onNode("two"), setNotReady))
		s := c.start()
		c.settle()
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		c.editPod("web-1", setReady)
		c.settle()
		c.expectEvents(s, "Normal NodeUnschedulable Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that is unschedulable")
	})
}

func TestEditToACordonedNodeIsRefused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(schedulable("one"), cordoned("two"), newService("web"), newPod("web-0", onNode("one")), newPod("web-1", onNode("two")))
		s := c.start()
		c.settle()
		s.events.take()
		c.switchTo("web", "web-1")
		c.settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: it is on a node that is unschedulable; web-0 stays master in epoch 1")
	})
}

// A cache that has not heard that a node is in service again moves nobody off it.
func TestStaleCordonIsConfirmed(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(cordoned("one"), schedulable("two"), newService("web"), newPod("web-0", onNode("one")), newPod("web-1", onNode("two")))
		s := c.prepare()
		s.behind["nodes"] = time.Minute
		c.run(s)
		c.wait(2 * time.Minute)
		s.events.take()
		c.uncordon("one")
		c.switchTo("web", "web-0")
		c.wait(30 * time.Second)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-0: master moved from web-1 to web-0 in epoch 2: the Lease's holder was edited")
		s.client.ClearActions()
		c.editPod("web-1", withLabel("look", "again"))
		c.wait(10 * time.Second)
		if diff := cmp.Diff([]string{"get nodes one"}, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// With routing by label every move costs a second of requests; and most pods
// that are evicted go on serving for as long.
func TestMasterByLabelStaysOnACordonedNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(schedulable("one"), schedulable("two"), newService("web", withSelector(api.LabelDesignation, api.DesignationActive)),
			newPod("web-0", onNode("one")), newPod("web-1", onNode("two")))
		s := c.start()
		c.settle()
		s.client.ClearActions()
		c.cordon("one")
		c.settle()
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests: %v", requests)
		}
	})
}
