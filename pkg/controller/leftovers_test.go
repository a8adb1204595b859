package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
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
