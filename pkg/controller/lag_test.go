package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What happens when caches lag behind, and when requests fail.

// One of two Services that share an election no longer selects the master. The replica dies
// before it has demoted it.
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
			"Pod web-0: identified",
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

// A namespace whose pods cannot be listed holds up neither a shutdown nor other namespaces. It is
// served once they can.
func TestNamespaceWithoutPods(t *testing.T) {
	inCluster(t, func(c *cluster) {
		for i := range 45 {
			c.Create(fakeapi.NewService("web-"+string(rune('a'+i%26))+string(rune('a'+i/26)), fakeapi.In[*corev1.Service]("bad")))
		}
		c.Server.OnRequest(func(a clienttesting.Action) error {
			if a.Matches("list", "pods") && a.GetNamespace() == "bad" {
				return apierrors.NewInternalError(errors.New("not now"))
			}
			return nil
		})
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Wait(time.Second)
		for i := range 45 {
			// Whatever happens there, no worker waits.
			s.queue.Add(key{Namespace: "bad", Name: "web-" + string(rune('a'+i%26)) + string(rune('a'+i/26))})
		}
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(200 * time.Millisecond)
		if got := c.State(); !slices.Contains(got, "Lease web: web-1 @2 HolderNotReady, of web") {
			t.Errorf("the other namespace is not served in time: %v", got)
		}
		if n := s.queue.NumRequeues(key{Namespace: "bad", Name: "web-aa"}); n > 0 {
			t.Errorf("an election without pods is tried %d times", n)
		}
		c.Server.OnRequest(nil)
		c.Wait(time.Minute)
		if _, err := c.Users.CoordinationV1().Leases("bad").Get(c.Context(), "web-aa", metav1.GetOptions{}); err != nil {
			t.Errorf("the namespace is not served once its pods can be listed: %v", err)
		}
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
	})
}

func TestFailoverIsConfirmedByTheAPIServer(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		s.client.ClearActions()
		// By the time at which the controller's question arrives it is Ready.
		c.EditPod("web-0", fakeapi.SetNotReady)
		time.Sleep(fakeapi.Latency / 2)
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}
		c.expectEvents(s)
	})
}

// A cache that has not heard that a node is in use again moves no master off it.
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
		if diff := cmp.Diff([]string{"get leases web", "list pods", "list services", "list endpointslices", "get nodes one"}, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// One replica has heard of the opt-out. The other has not, and sees the slice go.
func TestReplicaThatIsBehindAnOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		late := c.prepare()
		late.behind["services"] = 3 * time.Second
		c.run(late)
		c.Wait(time.Minute)
		c.EditService("web", fakeapi.OptOut)
		c.Wait(time.Minute)
		c.Expect("Service web: app=web", "EndpointSlice web by Kubernetes: web-0 web-1", "Pod web-0:", "Pod web-1:")
	})
}

// No Service selects the master any longer, and its election waits for it to stop. What happens
// to that pod wakes the election within moments.
func TestAnUnselectedMasterThatStopsWakesItsElection(t *testing.T) {
	for name, stops := range map[string]func(c *cluster){
		"the pod is gone":   func(c *cluster) { c.DeletePod("web-0") },
		"the pod has ended": func(c *cluster) { c.EditPod("web-0", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }) },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationHandover, api.HandoverAfterTermination)), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				c.start()
				c.Settle()
				c.EditPod("web-0", func(p *corev1.Pod) { p.Labels["app"] = "debug" })
				c.Settle()
				stops(c)
				c.Wait(time.Second)
				if state := c.State(); !slices.ContainsFunc(state, func(line string) bool { return strings.HasPrefix(line, "Lease web: web-1 @2") }) {
					t.Errorf("no pod follows:\n%s", strings.Join(state, "\n"))
				}
			})
		})
	}
}
