package controller

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// without takes the right to list and get a resource away from the controller, in a namespace
// or, if that is empty, in all. It returns what gives the right back.
func (s *started) without(resource, namespace string) (give func()) {
	var given atomic.Bool
	s.client.PrependReactor("*", resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if given.Load() || namespace != "" && action.GetNamespace() != namespace {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", errors.New("no rights"))
	})
	return func() { given.Store(true) }
}

// With Roles, but no ClusterRole, nodes cannot be read.
func TestNodesAreOptional(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")))
		s := c.prepare(fakeapi.Namespace)
		give := s.without("nodes", "")
		c.run(s)
		c.Settle()
		if err := s.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		c.Cordon("one")
		c.deleteNode("two")
		c.Wait(10 * time.Minute)
		c.expectEvents(s)
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		// What is read later counts from then on.
		give()
		c.EditPod("web-0", fakeapi.SetReady)
		c.Wait(10 * time.Minute)
		c.expectEvents(s, "Normal NodeGone Failover on web about web-0: master moved from web-1 to web-0 in epoch 3: web-1 is on a node that no longer exists")
	})
}

func TestNamespaceWithoutRightsHoldsUpNoOther(t *testing.T) {
	for _, resource := range []string{"services", "leases", "endpointslices"} {
		t.Run(resource, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				for _, namespace := range []string{"one", "two"} {
					c.Create(fakeapi.NewService("web", fakeapi.In[*corev1.Service](namespace)), fakeapi.NewPod("web-0", fakeapi.In[*corev1.Pod](namespace)))
				}
				s := c.prepare("one", "two")
				give := s.without(resource, "one")
				c.run(s)
				c.Settle()
				if err := s.Ready(); err != nil {
					t.Errorf("not ready: %v", err)
				}
				if lines := strings.Join(c.State(), "\n"); !strings.Contains(lines, "Lease two/web: web-0 @1") || strings.Contains(lines, "Lease one/web") {
					t.Errorf("want a master in the second namespace alone:\n%s", lines)
				}
				s.client.ClearActions()
				fakeapi.Edit(c.Cluster, c.Users.CoreV1().Services("one"), "web", func(service *corev1.Service) { service.Labels = map[string]string{"look": "again"} })
				c.Wait(10 * time.Minute)
				if requests := slices.DeleteFunc(s.requests(), func(r string) bool { return strings.HasPrefix(r, "list "+resource) }); len(requests) > 0 {
					t.Errorf("requests for a namespace without rights: %q", requests)
				}
				give()
				c.Wait(2 * time.Minute)
				if lines := strings.Join(c.State(), "\n"); !strings.Contains(lines, "Lease one/web: web-0 @1") {
					t.Errorf("want a master in the first namespace once there are rights:\n%s", lines)
				}
			})
		})
	}
}

// Rights are taken away while the controller runs, and given back.
func TestNodesOfWhichNothingIsHeardAreNotGone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := threeNodes(c)
		s.nodesWatched.forbidden.Store(true)
		c.deleteNode("one")
		c.Settle()
		c.expectEvents(s)
		c.Cordon("three")
		c.Settle()
		c.EditPod("web-0", fakeapi.WithLabel("look", "again"))
		c.Settle()
		c.expectEvents(s, "Normal NodeGone Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that no longer exists")
	})
}

func TestReadyNeedsRights(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := c.prepare("one", "two")
		one, two := s.without("leases", "one"), s.without("services", "two")
		c.run(s)
		c.Settle()
		want := "there are no rights to watch Services, Leases and EndpointSlices of one; Services, Leases and EndpointSlices of two"
		if err := s.Ready(); err == nil || err.Error() != want {
			t.Errorf("ready with %v, want %s", err, want)
		}
		one()
		c.Wait(2 * time.Minute)
		if err := s.Ready(); err != nil {
			t.Errorf("not ready with the rights in one namespace: %v", err)
		}
		two()
	})
}
