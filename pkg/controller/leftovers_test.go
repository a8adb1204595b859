package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// optOut takes the annotation away.
var optOut = withoutAnnotation(api.AnnotationServiceMode)

func TestOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.editService("web", optOut)
		c.settle()
		c.expect(
			"Service web: app=web",
			"Pod web-0:",
			"Pod web-1:",
		)
		c.expectEvents(s)

		// And in again.
		c.editService("web", withAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
	})
}

func TestOptOutEndsTheWatchOfPods(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web"), newService("db", withSelector("app", "db")), newPod("web-0"))
		c.start()
		c.settle()
		c.editService("web", optOut)
		c.settle()
		if n := c.server.watching("pods", 0); n != 1 {
			t.Errorf("%d watches of pods, want 1 as there is another annotated Service", n)
		}
		c.editService("db", optOut)
		c.settle()
		if n := c.server.watching("pods", 0); n != 0 {
			t.Errorf("%d watches of pods, want none", n)
		}
	})
}

func TestOptOutOfANamedLease(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web", withAnnotation(api.AnnotationLeaseName, "shared")), newPod("web-0"))
		c.start()
		c.settle()
		c.editService("web", optOut)
		c.settle()
		c.expect("Service web: app=web", "Pod web-0:")
	})
}

func TestOptOutOfRoutingByLabel(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web", withSelector(api.LabelDesignation, api.DesignationActive)), newPod("web-0"), newPod("web-1"))
		c.start()
		c.settle()
		c.editService("web", optOut)
		c.settle()
		c.expect("Service web: app=web,qoqo.dev/pod-designation=active", "Pod web-0:", "Pod web-1:")
	})
}

func TestOptOutLeavesAnotherElectionAlone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web"), newPod("web-0"), newService("db", withSelector("app", "db")), newPod("db-0", withLabel("app", "db")))
		c.start()
		c.settle()
		c.editService("web", optOut)
		c.settle()
		c.expect(
			"Lease db: db-0 @1 FirstEligible, of db",
			"Service db: app=db -> db-0 @1",
			"Service web: app=web",
			"Pod db-0: identified active @1 spared",
			"Pod web-0:",
		)
	})
}

func TestOptOutLeavesWhatUsersHaveWritten(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web"), newPod("web-0", func(p *corev1.Pod) {
			p.Annotations = map[string]string{api.AnnotationDeletionCost: "7", "example.com/key": "value"}
		}))
		c.start()
		c.settle()
		c.editService("web", optOut)
		c.settle()
		pod, err := c.users.CoreV1().Pods(testNamespace).Get(t.Context(), "web-0", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if pod.Annotations[api.AnnotationDeletionCost] != "7" || pod.Annotations["example.com/key"] != "value" || pod.Labels["app"] != "web" {
			t.Errorf("labels %v and annotations %v of a user are not all there", pod.Labels, pod.Annotations)
		}
	})
}

func TestServiceDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.deleteService("web")
		c.settle()
		c.expect("Pod web-0:", "Pod web-1:")
	})
}

func TestServiceDeletedWhileNoControllerRuns(t *testing.T) {
	tests := map[string]func(*cluster){
		"with its Lease, by the garbage collector": func(c *cluster) { c.deleteLease("web") },
		"before its Lease":                         func(*cluster) {},
	}
	for name, deleteLease := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				serving(c).stop()
				c.deleteService("web")
				deleteLease(c)
				c.start()
				c.settle()
				c.expect("Pod web-0:", "Pod web-1:")
			})
		})
	}
}

func TestOptOutWhileNoControllerRuns(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c).stop()
		c.editService("web", optOut)
		c.start()
		c.settle()
		c.expect("Service web: app=web", "Pod web-0:", "Pod web-1:")
	})
}

func TestPodThatIsNoLongerSelectedIsCleaned(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.editPod("web-1", withLabel("app", "other"))
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1:",
		)
	})
}

func TestServiceGetsAnotherSelector(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.create(newPod("web-2", withLabel("tier", "db")))
		c.editService("web", withSelector("tier", "db"))
		c.settle()
		c.expect(
			"Lease web: web-2 @2 HolderUnselected, of web",
			"Service web: app=web,tier=db -> web-2 @2",
			"Pod web-0:",
			"Pod web-1:",
			"Pod web-2: identified active @2 spared",
		)
	})
}
