package controller

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What goes wrong when elections share pods, lag behind, or are cut off.

// The only Ready pod leaves the Service: it stays the holder, as nobody else is
// eligible, but nothing is written on it, however often the election is looked at.
func TestHolderThatLeftIsNotMarked(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1", fakeapi.SetNotReady))
		s := c.start()
		c.Settle()
		c.EditPod("web-0", func(p *corev1.Pod) { p.Labels["app"] = "debug" })
		c.Settle()
		s.client.ClearActions()
		c.EditPod("web-1", func(p *corev1.Pod) { p.Annotations["changed"] = "" })
		c.Settle()
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0:",
			"Pod web-1: identified standby @1",
		)
		if diff := cmp.Diff([]string{}, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

// Of two Services that share an election one no longer selects the master; the
// replica dies before it has demoted it.
func TestMasterThatOneServiceNoLongerSelects(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("db", fakeapi.WithSelector("tier", "x")), fakeapi.NewService("db-nodes", fakeapi.WithAnnotation(api.AnnotationLeaseName, "db")),
			fakeapi.NewPod("web-0", fakeapi.WithLabel("tier", "x")), fakeapi.NewPod("web-1", fakeapi.WithLabel("tier", "x")))
		s := c.start()
		c.Settle()
		dead := false
		c.Server.OnRequest(func(a clienttesting.Action) error {
			dead = dead || a.Matches("update", "leases")
			if dead && a.GetVerb() == "patch" {
				return apierrors.NewInternalError(errors.New("dead"))
			}
			return nil
		})
		c.EditPod("web-0", func(p *corev1.Pod) { delete(p.Labels, "tier") })
		c.Wait(100 * time.Millisecond)
		s.stop()
		c.Server.OnRequest(nil)
		c.start()
		c.Settle()
		c.Expect(
			"Lease db: web-1 @2 HolderUnselected, of db and db-nodes",
			"Service db: app=web,tier=x -> web-1 @2",
			"Service db-nodes: app=web -> web-1 @2",
			"Pod web-0:",
			"Pod web-1: identified active @2 spared",
		)
	})
}

// An older Service opts out: the younger one's election designates the pods.
func TestOverlapEnds(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("older"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		c.Wait(time.Minute)
		c.Create(fakeapi.NewService("younger"))
		c.Settle()
		c.SwitchTo("younger", "web-1")
		c.Settle()
		c.EditService("older", fakeapi.OptOut)
		c.Settle()
		c.Expect(
			"Lease younger: web-1 @2 HolderEdited, of younger",
			"Service older: app=web",
			"Service younger: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

// As long as a Service that opted out cannot be written to, the pod that it
// selects keeps its identity label.
func TestPodsAreReleasedAfterTheirService(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("db-nodes", fakeapi.WithAnnotation(api.AnnotationLeaseName, "db")), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		c.Server.OnRequest(func(a clienttesting.Action) error {
			if a.Matches("patch", "services") {
				return apierrors.NewInternalError(errors.New("the webhook is down"))
			}
			return nil
		})
		c.EditService("db-nodes", fakeapi.OptOut)
		c.Settle()
		c.Expect(
			"Lease db: web-0 @1 FirstEligible, of db-nodes",
			"Service db-nodes: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
		c.Server.OnRequest(nil)
		c.Settle()
		c.Expect("Service db-nodes: app=web", "Pod web-0:")
	})
}

// Namespaces whose pods cannot be listed hold up neither a shutdown nor others.
func TestNamespaceWithoutPods(t *testing.T) {
	inCluster(t, func(c *cluster) {
		for i := range 4 * workers {
			c.Create(fakeapi.NewService("web-"+string(rune('a'+i%26))+string(rune('a'+i/26)), fakeapi.In[*corev1.Service]("bad")))
		}
		c.Server.OnRequest(func(a clienttesting.Action) error {
			if a.Matches("list", "pods") && a.GetNamespace() == "bad" {
				return apierrors.NewInternalError(errors.New("not now"))
			}
			return nil
		})
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(6 * time.Second)
		if got := c.State(); !slices.Contains(got, "Lease web: web-0 @1 FirstEligible, of web") {
			t.Errorf("the other namespace is not served: %v", got)
		}
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
	})
}

// An epoch after which there could be no other is not believed.
func TestEpochThatCannotBe(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.EditPod("web-1", func(p *corev1.Pod) { p.Annotations[api.AnnotationLeaseTransitions] = "2147483647" })
		c.EditLease("web", func(l *coordinationv1.Lease) { *l.Spec.LeaseTransitions = 2147483647 })
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		if got := c.State(); !slices.Contains(got, "Lease web: web-1 @2 HolderNotReady, of web") {
			t.Errorf("there was no failover: %v", got)
		}
	})
}
