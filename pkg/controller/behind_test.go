package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// Caches hear of different kinds of objects at different times.

func TestEditIsNotRefusedForWhatTheCacheHasNotHeardOf(t *testing.T) {
	tests := map[string]func(*cluster){
		"that the pod is Ready": func(c *cluster) { c.EditPod("web-1", fakeapi.SetReady) },
		"that there is the pod": func(c *cluster) { c.DeletePod("web-1"); c.Create(fakeapi.NewPod("web-1")) },
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1", fakeapi.SetNotReady))
				s := c.prepare()
				s.behind["pods"] = 3 * time.Second
				c.run(s)
				c.Wait(time.Minute)
				s.events.Take()
				happens(c)
				c.SwitchTo("web", "web-1")
				c.Wait(time.Minute)
				c.Expect(
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

// What it has written itself a controller knows before it hears of it.
func TestFailoverTakesTheRequestsThatItNeeds(t *testing.T) {
	for _, resource := range []string{"nothing", "leases", "services", "pods"} {
		t.Run("with "+resource+" behind", func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				s := c.prepare()
				s.behind[resource] = 3 * time.Second
				c.run(s)
				c.Wait(time.Minute)
				s.client.ClearActions()
				c.EditPod("web-0", fakeapi.SetNotReady)
				c.Wait(time.Minute)
				// The last one leaves the selector to those who apply manifests.
				want := []string{"get pods web-0", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "patch services web"}
				if diff := cmp.Diff(want, s.requests()); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
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
		c.Settle()
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		c.Wait(time.Minute)
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
		// Its patches of the Service are of a version that is out of date.
		if writes := slices.Compact(late.writes()); !slices.Equal(writes, []string{"patch services web"}) {
			t.Errorf("the replica that is behind writes %q", writes)
		}
	})
}

// A replica that still thinks that web-0 is master does not undo the switch.
func TestReplicaThatIsBehindUndoesNothing(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := serving(c)
		late := c.prepare()
		late.behind["leases"] = 3 * time.Second
		c.run(late)
		c.Wait(time.Minute)
		var routed []string
		c.Server.Admit(func(o runtime.Object) {
			if service, ok := o.(*corev1.Service); ok && !slices.Contains(routed, service.Spec.Selector[api.LabelPodUID]) {
				routed = append(routed, service.Spec.Selector[api.LabelPodUID])
			}
		})
		c.SwitchTo("web", "web-1")
		time.Sleep(time.Second)
		// Something that makes it look.
		c.EditPod("web-0", fakeapi.WithLabel("other", "label"))
		c.Wait(time.Minute)
		c.Expect(
			"Lease web: web-1 @2 HolderEdited, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		if len(routed) != 1 || c.Server.NameOf(types.UID(routed[0])) != "web-1" {
			t.Errorf("the Service was routed to %q, want web-1 alone", routed)
		}
		if events := append(first.events.Take(), late.events.Take()...); len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}
