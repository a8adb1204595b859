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
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// graceful makes the pod terminate when it is deleted, until stopped.
func graceful(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30) }

// gracefully is asked, with pods that are graceful.
func gracefully(c *cluster, annotations ...string) *started {
	c.Helper()
	s := asked(c, annotations...)
	c.editPod("web-0", graceful)
	c.editPod("web-1", graceful)
	c.settle()
	s.client.ClearActions()
	return s
}

// stopped does what kubelet does when the pod's processes have ended.
func (c *cluster) stopped(name string) {
	c.Helper()
	c.editPod(name, func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = nil })
	c.deletePod(name)
}

func (c *cluster) terminating() (names []string) {
	c.Helper()
	pods, err := c.users.CoreV1().Pods(testNamespace).List(c.Context(), metav1.ListOptions{})
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
		c.switchTo("web", "web-1")
		c.settle()
		c.expectTerminating("web-0")
		c.expectEvents(s,
			"Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited",
			"Normal HolderDemoted Delete on web about web-0: deleting web-0: web-1 is master now (qoqo.dev/on-demote)",
		)
		// After its successor has its traffic and its label.
		want := []string{"update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "delete pods web-0"}
		if diff := gocmp.Diff(want, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		c.stopped("web-0")
		c.create(newPod("web-0", graceful))
		c.settle()
		c.expectTerminating()

		c.editPod("web-1", setNotReady)
		c.settle()
		c.expectTerminating("web-1")
	})
}

func TestDemotedPodIsNotDeleted(t *testing.T) {
	tests := map[string]func(*cluster){
		"which the Services no longer select": func(c *cluster) { c.editPod("web-0", withLabel("app", "debug")) },
		"by what is asked for after it was demoted": func(c *cluster) {
			c.editService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
			c.switchTo("web", "web-1")
			c.settle()
			c.editService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationOnDemote] = "delete" })
		},
		"which had not been possible, by what is asked for anew": func(c *cluster) {
			c.server.onRequest(func(action clienttesting.Action) error {
				if action.Matches("delete", "pods") {
					return errors.New("it is forbidden")
				}
				return nil
			})
			c.switchTo("web", "web-1")
			c.settle()
			c.editService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
			c.settle()
			c.server.onRequest(nil)
			c.editService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationOnDemote] = "delete" })
		},
		"that has only been labelled active by somebody": func(c *cluster) {
			c.editPod("web-1", withLabel(api.LabelDesignation, api.DesignationActive))
		},
		"as the Lease says otherwise by then": func(c *cluster) {
			c.server.onRequest(func(action clienttesting.Action) error {
				if action.Matches("get", "leases") {
					c.server.onRequest(nil)
					c.editService("web", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationOnDemote) })
					c.editLease("web", func(l *coordinationv1.Lease) { l.Labels["app"] = "web" })
				}
				return nil
			})
			c.editPod("web-0", setNotReady)
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				gracefully(c, api.AnnotationOnDemote, "delete")
				act(c)
				c.settle()
				c.expectTerminating()
			})
		})
	}
}

func TestSwitchoverAfterTermination(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationHandover, "after-termination", api.AnnotationOnDemote, "delete")
		c.switchTo("web", "web-1")
		c.settle()
		c.expectTerminating("web-0")
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
		c.expectEvents(s,
			"Normal HolderEdited Stop on web about web-0: deleting web-0: it must stop before another pod can become master (qoqo.dev/handover); reason: a switchover to web-1 was requested",
		)
		c.create(newPod("a-better-one"))
		c.wait(time.Hour)
		c.stopped("web-0")
		c.settle()
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-0 to web-1 in epoch 2: the Lease's holder was edited")
		c.expect(
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
		c.switchTo("web", "web-1")
		c.settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: the master must stop first (qoqo.dev/handover); delete its pod, or let the controller delete it (qoqo.dev/on-demote); web-0 stays master in epoch 1")
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expectEvents(s, "Warning AwaitingTermination Check on web: web-0 is not Ready; no other pod can become master until the master has stopped (qoqo.dev/handover); delete the master's pod to let another pod take over")
		c.expectTerminating()
		c.deletePod("web-0")
		c.settle()
		c.expectEvents(s)
		c.stopped("web-0")
		c.settle()
		c.expectEvents(s, "Normal HolderGone Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 does not exist")
	})
}

func TestMasterThatHangsMakesRoom(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := gracefully(c, api.AnnotationHandover, "after-termination", api.AnnotationOnDemote, "delete", api.AnnotationFailoverDelay, "30s")
		c.editPod("web-0", setNotReady)
		c.wait(29 * time.Second)
		c.expectTerminating()
		c.wait(2 * time.Second)
		c.expectTerminating("web-0")
		c.wait(time.Minute)
		c.editPod("web-0", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderFinished, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		s.events.take()
	})
}
