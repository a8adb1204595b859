package controller

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// failing answers every such request with err, and counts them.
func (c *cluster) failing(verb, resource string, err error) *atomic.Int32 {
	failed := &atomic.Int32{}
	c.Server.OnRequest(func(action clienttesting.Action) error {
		if !action.Matches(verb, resource) {
			return nil
		}
		failed.Add(1)
		return err
	})
	return failed
}

// denying lets a policy refuse patches of these objects.
func (c *cluster) denying(resource string, names ...string) {
	c.Server.OnRequest(func(action clienttesting.Action) error {
		if patch, ok := action.(clienttesting.PatchAction); ok && action.Matches("patch", resource) && slices.Contains(names, patch.GetName()) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, patch.GetName(), errors.New("denied by a policy"))
		}
		return nil
	})
}

func (c *cluster) failingNoMore() { c.Server.OnRequest(nil) }

func TestConflictIsRetriedAtOnce(t *testing.T) {
	tests := map[string]struct{ verb, resource string }{
		"of the Lease":   {"update", "leases"},
		"of the Service": {"patch", "services"},
		"of a pod":       {"patch", "pods"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := serving(c)
				conflict := apierrors.NewConflict(schema.GroupResource{Resource: test.resource}, "any", errors.New("changed"))
				failed := c.failing(test.verb, test.resource, conflict)
				c.EditPod("web-0", fakeapi.SetNotReady)
				for range 1000 {
					if failed.Load() > 0 {
						break
					}
					time.Sleep(time.Millisecond)
				}
				c.failingNoMore()
				c.Wait(300 * time.Millisecond)
				c.Expect(failedOver...)
				if events := s.events.Take(); len(events) != 1 {
					t.Errorf("events %q, want one", events)
				}
			})
		})
	}
}

func TestErrorsAreRetriedForEver(t *testing.T) {
	tests := map[string]struct{ verb, resource string }{
		"of reading the holder":  {"get", "pods"},
		"of writing the Lease":   {"update", "leases"},
		"of writing the Service": {"patch", "services"},
		"of writing pods":        {"patch", "pods"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				// One that has not written the Lease leaves others their turn before each try.
				serving(c).stop()
				c.start()
				c.Settle()
				failed := c.failing(test.verb, test.resource, apierrors.NewInternalError(errors.New("no quorum")))
				c.EditPod("web-0", fakeapi.SetNotReady)
				c.Wait(time.Hour)
				// One attempt is up to two requests, and the first ones come quickly.
				if got, want := failed.Load(), int32(time.Hour/retryMax); got < want*9/10 || got > want*22/10 {
					t.Errorf("%d failed requests in an hour, want about %d or twice that", got, want)
				}
				c.failingNoMore()
				c.Wait(retryMax + time.Second)
				c.Expect(failedOver...)
			})
		})
	}
}

func TestErrorsOfLookingCloserAreRetried(t *testing.T) {
	tests := map[string]struct{ verb, resource string }{
		"of reading the Lease":        {"get", "leases"},
		"of listing the Services":     {"list", "services"},
		"of listing the pods":         {"list", "pods"},
		"of writing the Lease at all": {"create", "leases"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				serving(c)
				failed := c.failing(test.verb, test.resource, apierrors.NewInternalError(errors.New("no quorum")))
				c.DeleteLease("web")
				c.Wait(time.Minute)
				if failed.Load() == 0 {
					t.Error("it did not look closer, so that nothing is tested")
				}
				c.failingNoMore()
				c.Wait(retryMax + time.Second)
				// A Lease that was not created, as far as the controller knows, may have spent an epoch.
				epoch := *c.Lease("web").Spec.LeaseTransitions
				if test.verb != "create" && epoch != 3 {
					t.Errorf("epoch %d, want 3", epoch)
				}
				c.Expect(
					fmt.Sprintf("Lease web: web-0 @%d LeaseLost, of web", epoch),
					fmt.Sprintf("Service web: app=web -> web-0 @%d", epoch),
					fmt.Sprintf("Pod web-0: identified active @%d spared", epoch),
					"Pod web-1: identified standby @1",
				)
			})
		})
	}
}

func TestErrorsOfReleasingAreRetried(t *testing.T) {
	tests := map[string]struct{ verb, resource string }{
		"of writing the Service":  {"patch", "services"},
		"of listing the Services": {"list", "services"},
		"of listing the pods":     {"list", "pods"},
		"of writing pods":         {"patch", "pods"},
		"of deleting the Lease":   {"delete", "leases"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				serving(c)
				failed := c.failing(test.verb, test.resource, apierrors.NewInternalError(errors.New("no quorum")))
				c.EditService("web", fakeapi.OptOut)
				c.Wait(time.Minute)
				if failed.Load() == 0 {
					t.Error("it was not tried, so that nothing is tested")
				}
				// The Lease goes last of what is its Services', so that a restart finds what is left.
				if _, err := c.Users.CoordinationV1().Leases(fakeapi.Namespace).Get(t.Context(), "web", metav1.GetOptions{}); err != nil && name != "of writing pods" {
					t.Error(err)
				}
				c.failingNoMore()
				// Two keys clean the namespace, and the one that gets a conflict waits once more.
				c.Wait(2*retryMax + time.Second)
				c.Expect("Service web: app=web", "Pod web-0:", "Pod web-1:")
			})
		})
	}
}

// A webhook, or another controller, that takes away what is written.
func TestWritesThatDoNotStickAreRetriedSlowly(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Server.Admit(func(o runtime.Object) {
			if pod, ok := o.(*corev1.Pod); ok {
				delete(pod.Labels, api.LabelDesignation)
			}
		})
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Hour)
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified @1 spared",
		)
		if got, want := len(s.writes()), int(time.Hour/retryMax); got < want*9/10 || got > want*11/10 {
			t.Errorf("%d writes in an hour, want about %d", got, want)
		}
	})
}

func TestLeftoversAreLookedForUntilThatSucceeds(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c).stop()
		c.DeleteService("web")
		c.DeleteLease("web")
		c.failing("list", "pods", apierrors.NewInternalError(errors.New("no quorum")))
		c.start()
		c.Wait(10 * time.Minute)
		c.failingNoMore()
		c.Wait(2 * time.Minute)
		c.Expect("Pod web-0:", "Pod web-1:")
	})
}

func TestPodThatIsGoneWhenItIsWrittenTo(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.prepare()
		s.behind["pods"] = 3 * time.Second
		c.run(s)
		c.Wait(time.Minute)
		s.client.ClearActions()
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("update", "leases") {
				c.DeletePod("web-0")
			}
			return nil
		})
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Minute)
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-1: identified active @2 spared",
		)
		// It was tried, and then the same look went on with the other.
		want := []string{"update leases web", "patch services web", "patch pods web-0", "patch pods web-1"}
		if got := s.writes(); len(got) < len(want) || !slices.Equal(want, got[:len(want)]) {
			t.Errorf("writes %q, want first %q", got, want)
		}
	})
}

func TestCachesThatCannotBeReadAreWaitedFor(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.failing("list", "leases", apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "", errors.New("no RBAC")))
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Minute)
		if s.Ready() == nil || len(s.writes()) > 0 {
			t.Errorf("ready: %v, with writes %q, without having read the Leases", s.Ready(), s.writes())
		}
		c.failingNoMore()
		// The informers try again within a minute.
		c.Wait(2 * time.Minute)
		if err := s.Ready(); err != nil {
			t.Error(err)
		}
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
	})
}
