package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestNothingIsWrittenAtRest(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.rest(serving(c))
	})
}

// rest starts a second replica, and fails the test if any request is made within an hour
// in which nothing changes.
func (c *cluster) rest(first *started) {
	c.Helper()
	second := c.start()
	c.Settle()
	first.client.ClearActions()
	second.client.ClearActions()
	c.Wait(time.Hour)
	for _, s := range []*started{first, second} {
		if actions := s.client.Actions(); len(actions) > 0 {
			c.Errorf("requests at rest: %v", actions)
		}
	}
}

func TestNamespacesRestrict(t *testing.T) {
	inCluster(t, func(c *cluster) {
		for _, namespace := range []string{"one", "two", "three"} {
			c.Create(fakeapi.NewService("web", fakeapi.In[*corev1.Service](namespace)), fakeapi.NewPod("web-0", fakeapi.In[*corev1.Pod](namespace)))
		}
		s := c.start("one", "three")
		c.Settle()
		c.Expect(
			"Lease one/web: web-0 @1 FirstEligible, of web",
			"Lease three/web: web-0 @1 FirstEligible, of web",
			"Service one/web: app=web -> web-0 @1",
			"Service three/web: app=web -> web-0 @1",
			"Service two/web: app=web",
			"Pod one/web-0: identified active @1 spared",
			"Pod three/web-0: identified active @1 spared",
			"Pod two/web-0:",
		)
		// Needed are neither a Role of the other namespace nor a ClusterRole for
		// anything but nodes and their heartbeats.
		for _, action := range s.client.Actions() {
			if namespace := action.GetNamespace(); namespace != "one" && namespace != "three" && namespace != corev1.NamespaceNodeLease && action.GetResource().Resource != "nodes" {
				t.Errorf("%s %s in the namespace %q", action.GetVerb(), action.GetResource().Resource, namespace)
			}
		}
	})
}

func TestLeftoversAreLookedForInTheNamespacesAlone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.In[*corev1.Service]("one")), fakeapi.NewPod("web-0", fakeapi.In[*corev1.Pod]("one")))
		s := c.start()
		c.Settle()
		s.stop()
		c.Delete(c.Users.CoreV1().Services("one"), "web")
		c.start("two")
		c.Settle()
		c.Expect("Lease one/web: web-0 @1 FirstEligible, of web [gone]", "Pod one/web-0: identified active @1 spared")
		c.start("one")
		c.Settle()
		c.Expect("Pod one/web-0:")
	})
}

func TestPodsOfOtherNamespacesAreNotWatched(t *testing.T) {
	inCluster(t, func(c *cluster) {
		plain := fakeapi.NewService("plain", fakeapi.In[*corev1.Service]("other"), fakeapi.OptOut)
		c.Create(plain, fakeapi.NewPod("plain-0", fakeapi.In[*corev1.Pod]("other")), fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Settle()
		watched := map[string]int{}
		for _, action := range s.client.Actions() {
			if action.Matches("watch", "pods") {
				watched[action.GetNamespace()]++
			}
			if list, ok := action.(clienttesting.ListActionImpl); ok && action.GetResource().Resource == "pods" && list.GetNamespace() != fakeapi.Namespace {
				if !strings.Contains(list.ListOptions.LabelSelector, "qoqo.dev/") {
					t.Errorf("all pods of the namespace %q are listed", list.GetNamespace())
				}
			}
		}
		if diff := cmp.Diff(map[string]int{fakeapi.Namespace: 1}, watched); diff != "" {
			t.Errorf("watches of pods by namespace (-want +got):\n%s", diff)
		}
	})
}

// What is watched is what memory and traffic are spent on.
func TestWatchesOfWhatIsNeededAlone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := c.start()
		c.Settle()
		got := map[string]string{}
		for _, action := range s.client.Actions() {
			if watch, ok := action.(clienttesting.WatchActionImpl); ok {
				got[action.GetResource().Resource] = watch.ListOptions.LabelSelector + watch.ListOptions.FieldSelector
			}
		}
		want := map[string]string{
			"services":       "", // An annotation cannot be selected.
			"leases":         "app.kubernetes.io/managed-by=active-standby-controller",
			"endpointslices": "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io",
			"nodes":          "", // A taint cannot be selected.
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("watches and their selectors (-want +got):\n%s", diff)
		}
	})
}

func TestReady(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := c.start()
		if err := s.Ready(); err == nil {
			t.Error("ready before the caches are synced")
		}
		c.Settle()
		if err := s.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

func TestAlive(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		k := key{Namespace: "default", Name: "stuck"}
		s.setBusy(k, true)
		c.Wait(stuckAfter)
		if err := s.Alive(); err != nil {
			t.Errorf("not alive after %s: %v", stuckAfter, err)
		}
		c.Wait(5 * time.Second)
		want := "the sync of default/stuck has taken 1m5s so far"
		if err := s.Alive(); err == nil || err.Error() != want {
			t.Errorf("alive: %v, want %q", err, want)
		}
		s.setBusy(k, false)
		if err := s.Alive(); err != nil {
			t.Errorf("not alive after the sync has ended: %v", err)
		}
	})
}

// No sync is left marked as going on, which Alive would stumble over later.
func TestAliveAtRest(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.Wait(time.Hour)
		if err := s.Alive(); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownFinishesASync(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("update", "leases") {
				s.cancel()
			}
			return nil
		})
		c.EditPod("web-0", fakeapi.SetNotReady)
		began := time.Now()
		<-s.done
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopped after %s", took)
		}
		c.Expect(failedOver...)
	})
}

func TestShutdownBeforeTheCachesAreSynced(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		time.Sleep(fakeapi.Latency / 2)
		s.stop()
		if s.Ready() == nil {
			t.Error("ready, and never synced")
		}
	})
}
