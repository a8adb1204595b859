package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestMasterComesToANodeThatIsUncordoned(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Cordoned("one"), fakeapi.Cordoned("two"), fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		c.start()
		c.Settle()
		if got := *c.Lease("web").Spec.HolderIdentity; got != "web-0" {
			t.Fatalf("%s is master", got)
		}
		c.Uncordon("two")
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 NodeUnschedulable, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestMasterLeavesACordonedNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Schedulable("one"), fakeapi.Schedulable("two"), fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		s := c.start()
		c.Settle()
		s.events.Take()
		s.client.ClearActions()
		c.Cordon("one")
		c.Settle()
		c.Expect(
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
		c.Uncordon("one")
		c.Settle()
		c.Cordon("one")
		c.Cordon("two")
		c.Settle()
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %v", writes)
		}
	})
}

func TestMasterStaysWhileNobodyElsewhereIsEligible(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Cordoned("one"), fakeapi.Schedulable("two"), fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two"), fakeapi.SetNotReady))
		s := c.start()
		c.Settle()
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		c.EditPod("web-1", fakeapi.SetReady)
		c.Settle()
		c.expectEvents(s, "Normal NodeUnschedulable Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that is unschedulable")
	})
}

func TestEditToACordonedNodeIsRefused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Schedulable("one"), fakeapi.Cordoned("two"), fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		s := c.start()
		c.Settle()
		s.events.Take()
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: it is on a node that is unschedulable; web-0 stays master in epoch 1")
	})
}

// A cache that has not heard that a node is in service again moves nobody off it.
func TestStaleCordonIsConfirmed(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Cordoned("one"), fakeapi.Schedulable("two"), fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		s := c.prepare()
		s.behind["nodes"] = time.Minute
		c.run(s)
		c.Wait(2 * time.Minute)
		s.events.Take()
		c.Uncordon("one")
		c.SwitchTo("web", "web-0")
		c.Wait(30 * time.Second)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-0: master moved from web-1 to web-0 in epoch 2: the Lease's holder was edited")
		s.client.ClearActions()
		c.EditPod("web-1", fakeapi.WithLabel("look", "again"))
		c.Wait(10 * time.Second)
		if diff := cmp.Diff([]string{"get nodes one"}, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// With routing by label every move costs a second of requests; and most pods
// that are evicted go on serving for as long.
func TestMasterByLabelStaysOnACordonedNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.Schedulable("one"), fakeapi.Schedulable("two"), fakeapi.NewService("web", fakeapi.WithSelector(api.LabelDesignation, api.DesignationActive)),
			fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		s := c.start()
		c.Settle()
		s.client.ClearActions()
		c.Cordon("one")
		c.Settle()
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests: %v", requests)
		}
	})
}
