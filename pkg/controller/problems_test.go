package controller

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestProblemsOfAServiceThatIsGoneAreForgotten(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation("qoqo.dev/nonsense", "")), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Settle()
		if len(s.warnings.problems) == 0 {
			t.Error("there is no problem, so that nothing is tested")
		}
		c.DeleteService("web")
		c.Settle()
		if n := len(s.warnings.problems); n > 0 {
			t.Errorf("the problems of %d Services that do not exist are remembered", n)
		}
	})
}

// A Service that opts in again is not taken for one whose selector was overwritten, though
// another replica may have recorded it first.
func TestServiceThatOptsInAgain(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(
			fakeapi.NewService("web"), fakeapi.NewService("web-headless", fakeapi.WithAnnotation(api.AnnotationLeaseName, "web")),
			fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"),
		)
		s := c.start()
		c.Settle()
		c.EditService("web-headless", fakeapi.OptOut)
		c.Settle()
		s.events.Take()
		var service *corev1.Service
		c.EditService("web-headless", func(s *corev1.Service) {
			s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
			service = s
		})
		c.EditLease("web", func(l *coordinationv1.Lease) {
			l.OwnerReferences = append(l.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID})
		})
		c.Settle()
		c.expectEvents(s)
		if c.State()[2] != "Service web-headless: app=web -> web-0 @1" {
			t.Errorf("the state is %q", c.State())
		}
	})
}
