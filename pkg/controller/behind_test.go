package controller

import (
	"slices"
	"testing"
	"time"
)

// Caches hear of different kinds of objects at different times.

func TestEditIsNotRefusedForWhatTheCacheHasNotHeardOf(t *testing.T) {
	tests := map[string]func(*cluster){
		"that the pod is Ready": func(c *cluster) { c.editPod("web-1", setReady) },
		"that there is the pod": func(c *cluster) { c.deletePod("web-1"); c.create(newPod("web-1")) },
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.create(newService("web"), newPod("web-0"), newPod("web-1", setNotReady))
				s := c.prepare()
				s.behind["pods"] = 3 * time.Second
				c.run(s)
				c.wait(time.Minute)
				s.events.take()
				happens(c)
				c.switchTo("web", "web-1")
				c.wait(time.Minute)
				c.expect(
					"Lease web: web-1 @2 HolderEdited, of web",
					"Service web: app=web -> web-1 @2",
					"Pod web-0: identified standby @2",
					"Pod web-1: identified active @2 spared",
				)
				c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited")
			})
		})
	}
}

// The other replica has made the Lease; and one without a Service is deleted.
func TestLeaseIsHeardOfBeforeItsService(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.start()
		late := c.prepare()
		late.behind["services"] = 3 * time.Second
		c.run(late)
		c.settle()
		c.create(newService("web"), newPod("web-0"))
		c.wait(time.Minute)
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
		if writes := late.writes(); len(writes) > 0 {
			t.Errorf("the replica that is behind writes %q", writes)
		}
	})
}

// A replica that still thinks that web-0 is master does not undo the next.
func TestReplicaThatIsBehindWritesNothing(t *testing.T) {
	for _, resource := range []string{"leases", "services", "pods"} {
		t.Run("of "+resource, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				serving(c)
				late := c.prepare()
				late.behind[resource] = 3 * time.Second
				c.run(late)
				c.wait(time.Minute)
				c.switchTo("web", "web-1")
				time.Sleep(time.Second)
				// Something that makes it look.
				c.editPod("web-0", withLabel("other", "label"))
				c.wait(time.Minute)
				c.expect(
					"Lease web: web-1 @2 HolderEdited, of web",
					"Service web: app=web -> web-1 @2",
					"Pod web-0: identified standby @2",
					"Pod web-1: identified active @2 spared",
				)
				if events := late.events.take(); len(events) > 0 {
					t.Errorf("events %q", events)
				}
				if slices.Contains(late.writes(), "create leases web") {
					t.Errorf("writes %q", late.writes())
				}
			})
		})
	}
}
