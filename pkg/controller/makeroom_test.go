package controller

import (
	"errors"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// gracefully is asked, with pods that are graceful.
func gracefully(c *cluster, annotations ...string) *started {
	c.Helper()
	s := asked(c, annotations...)
	c.EditPod("web-0", fakeapi.Graceful)
	c.EditPod("web-1", fakeapi.Graceful)
	c.Settle()
	s.client.ClearActions()
	return s
}

func (c *cluster) terminating() (names []string) {
	c.Helper()
	pods, err := c.Users.CoreV1().Pods(fakeapi.Namespace).List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil {
			names = append(names, p.Name)
		}
	}
	return names
}

func (c *cluster) expectTerminating(want ...string) {
	c.Helper()
	if diff := gocmp.Diff(want, c.terminating()); diff != "" {
		c.Errorf("terminating (-want +got):\n%s", diff)
	}
}

func TestDemotedPodIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationOnDemote, "delete")
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.expectTerminating("web-0")
		c.expectEvents(s,
			"Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited",
			"Normal HolderDemoted Delete on web about web-0: web-0 is deleted, as web-1 has followed it as master (qoqo.dev/on-demote)",
		)
		// After its successor has its traffic and its label.
		want := []string{"update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "delete pods web-0"}
		if diff := gocmp.Diff(want, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		c.Stop("web-0")
		c.Create(fakeapi.NewPod("web-0", fakeapi.Graceful))
		c.Settle()
		c.expectTerminating()

		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		c.expectTerminating("web-1")
	})
}

func TestDemotedPodIsNotDeleted(t *testing.T) {
	tests := map[string]func(*cluster){
		"which the Services no longer select": func(c *cluster) { c.EditPod("web-0", fakeapi.WithLabel("app", "debug")) },
		"by what is asked for after it was demoted": func(c *cluster) {
			c.EditService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
			c.SwitchTo("web", "web-1")
			c.Settle()
			c.EditService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationOnDemote] = "delete" })
		},
		"which had not been possible, by what is asked for anew": func(c *cluster) {
			c.Server.OnRequest(func(action clienttesting.Action) error {
				if action.Matches("delete", "pods") {
					return errors.New("it is forbidden")
				}
				return nil
			})
			c.SwitchTo("web", "web-1")
			c.Settle()
			c.EditService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
			c.Settle()
			c.Server.OnRequest(nil)
			c.EditService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationOnDemote] = "delete" })
		},
		"that has only been labelled active by somebody": func(c *cluster) {
			c.EditPod("web-1", fakeapi.WithLabel(api.LabelDesignation, api.DesignationActive))
		},
		"as the Lease says otherwise by then": func(c *cluster) {
			c.Server.OnRequest(func(action clienttesting.Action) error {
				if action.Matches("get", "leases") {
					c.Server.OnRequest(nil)
					c.EditService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
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
				gracefully(c, api.AnnotationOnDemote, "delete")
				act(c)
				c.Settle()
				c.expectTerminating()
			})
		})
	}
}

func TestSwitchoverAfterTermination(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationHandover, "after-termination", api.AnnotationOnDemote, "delete")
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.expectTerminating("web-0")
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, then web-1, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared terminating",
			"Pod web-1: identified standby @1",
		)
		c.expectEvents(s,
			"Normal HolderEdited Stop on web about web-0: web-0 is deleted, as it has to stop before another becomes master (qoqo.dev/handover): web-1 was asked for",
		)
		c.Create(fakeapi.NewPod("a-better-one"))
		c.Wait(time.Hour)
		c.Stop("web-0")
		c.Settle()
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited")
		c.Expect(
			"Lease web: web-1 @2 HolderEdited, of web",
			"Service web: app=web -> web-1 @2",
			"Pod a-better-one: identified standby @1",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestFailoverAfterTermination(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationHandover, "after-termination")
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: the master has to stop first (qoqo.dev/handover); delete its pod, or let the controller do so (qoqo.dev/on-demote); web-0 stays master in epoch 1")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Warning AwaitingTermination Check on web: web-0 is not Ready, but nobody else becomes master before it has stopped (qoqo.dev/handover); delete it if it should")
		c.expectTerminating()
		c.DeletePod("web-0")
		c.Settle()
		c.expectEvents(s)
		c.Stop("web-0")
		c.Settle()
		c.expectEvents(s, "Normal HolderGone Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 does not exist")
	})
}

func TestMasterThatHangsMakesRoom(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationHandover, "after-termination", api.AnnotationOnDemote, "delete", api.AnnotationFailoverDelay, "30s")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(29 * time.Second)
		c.expectTerminating()
		c.Wait(2 * time.Second)
		c.expectTerminating("web-0")
		c.Wait(time.Minute)
		c.EditPod("web-0", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderFinished, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2 terminating",
			"Pod web-1: identified active @2 spared",
		)
		s.events.Take()
	})
}
