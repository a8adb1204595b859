package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect(
			"Service web: app=web",
			"Pod web-0:",
			"Pod web-1:",
		)
		c.expectEvents(s)

		// And in again.
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.Settle()
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
	})
}

func TestOptOutEndsTheWatchOfPods(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewService("db", fakeapi.WithSelector("app", "db")), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		if n := c.Server.Watches("pods"); n != 1 {
			t.Errorf("%d watches of pods, want 1 as there is another annotated Service", n)
		}
		c.EditService("db", fakeapi.OptOut)
		c.Settle()
		if n := c.Server.Watches("pods"); n != 0 {
			t.Errorf("%d watches of pods, want none", n)
		}
	})
}

func TestOptOutOfANamedLease(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationLeaseName, "shared")), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: app=web", "Pod web-0:")
	})
}

func TestOptOutOfRoutingByLabel(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithSelector(api.LabelDesignation, api.DesignationActive)), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: app=web,qoqo.dev/pod-designation=active", "Pod web-0:", "Pod web-1:")
	})
}

func TestOptOutLeavesAnotherElectionAlone(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewService("db", fakeapi.WithSelector("app", "db")), fakeapi.NewPod("db-0", fakeapi.WithLabel("app", "db")))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect(
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
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", func(p *corev1.Pod) {
			p.Annotations = map[string]string{api.AnnotationDeletionCost: "7", "example.com/key": "value"}
		}))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		pod, err := c.Users.CoreV1().Pods(fakeapi.Namespace).Get(t.Context(), "web-0", metav1.GetOptions{})
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
		c.DeleteService("web")
		c.Settle()
		c.Expect("Pod web-0:", "Pod web-1:")
	})
}

func TestServiceDeletedWhileNoControllerRuns(t *testing.T) {
	tests := map[string]func(*cluster){
		"with its Lease, by the garbage collector": func(c *cluster) { c.DeleteLease("web") },
		"before its Lease":                         func(*cluster) {},
	}
	for name, deleteLease := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				serving(c).stop()
				c.DeleteService("web")
				deleteLease(c)
				c.start()
				c.Settle()
				c.Expect("Pod web-0:", "Pod web-1:")
			})
		})
	}
}

func TestOptOutWhileNoControllerRuns(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c).stop()
		c.EditService("web", fakeapi.OptOut)
		c.start()
		c.Settle()
		c.Expect("Service web: app=web", "Pod web-0:", "Pod web-1:")
	})
}

func TestPodThatIsNoLongerSelectedIsCleaned(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.EditPod("web-1", fakeapi.WithLabel("app", "other"))
		c.Settle()
		c.Expect(
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
		c.Create(fakeapi.NewPod("web-2", fakeapi.WithLabel("tier", "db")))
		c.EditService("web", fakeapi.WithSelector("tier", "db"))
		c.Settle()
		c.Expect(
			"Lease web: web-2 @2 HolderUnselected, of web",
			"Service web: app=web,tier=db -> web-2 @2",
			"Pod web-0:",
			"Pod web-1:",
			"Pod web-2: identified active @2 spared",
		)
	})
}
