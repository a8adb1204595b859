package controller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestDemotedPodIsNotDeleted(t *testing.T) {
	unasked := fakeapi.WithoutAnnotation(api.AnnotationOnDemote)
	tests := map[string]func(*cluster){
		"a deletion that failed is not made up for by a later request": func(c *cluster) {
			c.failing("delete", "pods", errors.New("it is forbidden"))
			c.SwitchTo("web", "web-1")
			c.Settle()
			c.EditService("web", unasked)
			c.Settle()
			c.failingNoMore()
			c.EditService("web", fakeapi.WithAnnotation(api.AnnotationOnDemote, "delete"))
		},
		"the Lease has changed by the time of the deletion": func(c *cluster) {
			c.Server.OnRequest(func(action clienttesting.Action) error {
				if action.Matches("get", "leases") {
					c.Server.OnRequest(nil)
					c.EditService("web", unasked)
					c.EditLease("web", func(l *coordinationv1.Lease) { l.Labels["app"] = "web" })
				}
				return nil
			})
			c.EditPod("web-0", fakeapi.SetNotReady)
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				asked(c, api.AnnotationOnDemote, "delete")
				for _, pod := range []string{"web-0", "web-1"} {
					c.EditPod(pod, fakeapi.Graceful)
				}
				c.Settle()
				act(c)
				c.Settle()
				if state := strings.Join(c.State(), "\n"); !strings.Contains(state, "web-1 @2") || strings.Contains(state, "terminating") {
					t.Errorf("want a switch to web-1, and no pod terminating:\n%s", state)
				}
			})
		})
	}
}

// A master that is not Ready for a moment is not deleted. One that stays so is, once.
func TestMasterThatStumblesIsNotDeleted(t *testing.T) {
	for _, test := range []struct {
		down    time.Duration
		deleted bool
	}{{300 * time.Millisecond, false}, {3 * time.Second, true}} {
		t.Run(test.down.String(), func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := asked(c, api.AnnotationHandover, "after-termination", api.AnnotationOnDemote, "delete")
				c.EditPod("web-0", fakeapi.Graceful)
				c.Settle()
				s.client.ClearActions()
				c.EditPod("web-0", fakeapi.SetNotReady)
				c.Wait(test.down)
				c.EditPod("web-0", fakeapi.SetReady)
				c.Settle()
				if deleted := slices.Contains(s.requests(), "delete pods web-0"); deleted != test.deleted {
					t.Errorf("the pod is deleted: %v, want %v", deleted, test.deleted)
				}
			})
		})
	}
}

// Every new pod of a release fails as soon as it is master.
func TestReleaseThatFailsDoesNotHaveManyPodsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationOnDemote, "delete")
		c.Wait(time.Minute)
		s.client.ClearActions()
		for i := range 50 {
			master := *c.Lease("web").Spec.HolderIdentity
			c.EditPod(master, fakeapi.SetNotReady)
			c.Wait(100 * time.Millisecond)
			if _, err := c.Users.CoreV1().Pods(fakeapi.Namespace).Get(c.Context(), master, metav1.GetOptions{}); err == nil {
				// It is no longer deleted. What has failed recovers.
				c.EditPod(master, fakeapi.SetReady)
			} else {
				c.Create(fakeapi.NewPod(fmt.Sprint("web-", 2+i)))
			}
			c.Wait(100 * time.Millisecond)
		}
		if deleted := len(slices.DeleteFunc(s.requests(), func(r string) bool { return !strings.HasPrefix(r, "delete pods") })); deleted != 5 {
			t.Errorf("%d pods are deleted within a minute, want 5", deleted)
		}
		if events := strings.Join(s.events.Take(), "\n"); !strings.Contains(events, "DeletionPaused") {
			t.Errorf("no event says that the deletion is paused:\n%s", events)
		}
		s.client.ClearActions()
		c.Wait(2 * time.Minute)
		if requests := s.writes(); len(requests) != 1 || !strings.HasPrefix(requests[0], "delete pods") {
			t.Errorf("when a minute has passed, %q, want the deletion of the last one", requests)
		}
	})
}
