package controller

import (
	"errors"
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
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func TestOptOutEndsTheWatchOfPods(t *testing.T) {
	inCluster(t, func(c *cluster) {
		// They watch the pods too.
		c.stopKubernetes()
		c.Create(fakeapi.NewService("web"), fakeapi.NewService("db", fakeapi.WithSelector("app", "db")), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		if n := c.Server.Watches("pods"); n != 1 {
			t.Errorf("%d watches of pods, want 1, because there is another annotated Service", n)
		}
		c.EditService("db", fakeapi.OptOut)
		c.Settle()
		if n := c.Server.Watches("pods"); n != 0 {
			t.Errorf("%d watches of pods, want none", n)
		}
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

// The younger election hears at once that the older Service no longer has pods.
func TestOverlapEndsWithTheTypeOfTheService(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("a"), fakeapi.NewService("b"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		c.Settle()
		c.SwitchTo("b", "web-1")
		c.Settle()
		c.EditService("a", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "x.example.com"
		})
		c.Settle()
		if got := c.State(); !slices.Contains(got, "Pod web-1: identified active @2 spared") {
			t.Errorf("the master of the younger election is not designated: %q", got)
		}
	})
}

// What cannot be written holds up only what depends on it.
func TestReleaseThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		resource, name string
		want           []string
	}{
		"of a pod": {"pods", "web-0", []string{"Service db: app=db", "Service web: app=web", "Pod db-0:", "Pod web-0: identified active @1 spared", "Pod web-1:"}},
		"of a Service": {"services", "web", []string{
			"Lease web: web-0 @1 FirstEligible, of web", "Service db: app=db", "Service web: app=web -> web-0 @1",
			"Pod db-0:", "Pod web-0: identified active @1 spared", "Pod web-1: identified standby @1",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewService("db", fakeapi.WithSelector("app", "db")),
					fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"), fakeapi.NewPod("db-0", fakeapi.WithLabel("app", "db")))
				c.start()
				c.Settle()
				c.denying(test.resource, test.name)
				c.EditService("web", fakeapi.OptOut)
				c.EditService("db", fakeapi.OptOut)
				c.Wait(time.Minute)
				c.Expect(test.want...)
				c.failingNoMore()
				c.Wait(2*refusedRetryMax + time.Second)
				c.Expect("Service db: app=db", "Service web: app=web", "Pod db-0:", "Pod web-0:", "Pod web-1:")
			})
		})
	}
}

// The clean-up of the namespace and the election release the same Service, at the same time.
func TestReleaseThatAnotherWorkerMakesFirst(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewService("nodes", fakeapi.WithAnnotation(api.AnnotationLeaseName, "web")), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		var conflicts atomic.Int32
		s.client.PrependReactor("patch", "services", func(a clienttesting.Action) (bool, runtime.Object, error) {
			first := a.(clienttesting.PatchAction).GetName() == "nodes" && conflicts.Add(1) <= 2
			return first, nil, apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "nodes", errors.New("changed"))
		})
		c.EditService("nodes", fakeapi.OptOut)
		c.Wait(5 * time.Second)
		c.Expect("Lease web: web-0 @1 FirstEligible, of web", "Service nodes: app=web", "Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared", "Pod web-1: identified standby @1")
		if conflicts.Load() < 3 {
			t.Errorf("the Service was written %d times, want more than the conflicts", conflicts.Load())
		}
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

// Which of an election and the clean-up of its namespace comes first makes no difference: the
// election knows which marks of its master must stay.
func TestCleanUpLeavesAMasterThatNoServiceSelects(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Settle()
		c.EditPod("web-0", fakeapi.WithLabel("app", "debug"))
		left, err := s.leftovers(c.Context(), fakeapi.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		if len(left.Pods) != 0 {
			t.Errorf("the clean-up has the master among what may be left: %s", left.Pods[0].Name)
		}
		c.Settle()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		pod, err := c.Users.CoreV1().Pods(fakeapi.Namespace).Get(t.Context(), "web-0", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if observation.MarkedPod(pod) {
			t.Errorf("labels %v and annotations %v of the controller are left", pod.Labels, pod.Annotations)
		}
	})
}
