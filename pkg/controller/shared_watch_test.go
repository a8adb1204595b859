package controller

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// inManyNamespaces creates a Service web with two pods in so many namespaces that one watch shows all.
func (c *cluster) inManyNamespaces(change ...func(*corev1.Service)) {
	c.Helper()
	for i := range separateNamespaces + 1 {
		namespace := fmt.Sprint("shop-", i)
		c.Create(fakeapi.NewService("web", append(change, fakeapi.In[*corev1.Service](namespace))...))
		for n := range 2 {
			c.Create(fakeapi.NewPod(fmt.Sprint("web-", n), fakeapi.In[*corev1.Pod](namespace)))
		}
	}
}

func (c *cluster) podIn(namespace, name string) *corev1.Pod {
	c.Helper()
	pod, err := c.Users.CoreV1().Pods(namespace).Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return pod
}

func (c *cluster) failEverywhere() {
	c.Helper()
	for i := range separateNamespaces + 1 {
		fakeapi.Edit(c.Cluster, c.Users.CoreV1().Pods(fmt.Sprint("shop-", i)), "web-0", fakeapi.SetNotReady)
	}
	c.Settle()
}

func (c *cluster) wantWatches(want int) {
	c.Helper()
	if n := c.Server.Watches("pods"); n != want {
		c.Errorf("%d watches of pods, want %d", n, want)
	}
}

// A master that says which Lease it held is of its namespace alone.
func TestSharedWatchKeepsNamespacesApart(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.stopKubernetes()
		c.start()
		c.inManyNamespaces(fakeapi.WithAnnotation(api.AnnotationHandover, api.HandoverAfterTermination))
		c.Settle()
		fakeapi.Edit(c.Cluster, c.Users.CoreV1().Pods("shop-0"), "web-0", func(p *corev1.Pod) { p.Labels["app"] = "none" })
		c.Settle()
		before := c.podIn("shop-0", "web-0").Annotations[api.AnnotationWitness]
		// The election of another namespace is looked at.
		fakeapi.Edit(c.Cluster, c.Users.CoreV1().Pods("shop-1"), "web-1", fakeapi.SetNotReady)
		c.Settle()
		if after := c.podIn("shop-0", "web-0").Annotations[api.AnnotationWitness]; before == "" || after != before {
			t.Errorf("witness %q became %q", before, after)
		}
	})
}

// Who may write a Lease of one namespace cannot have pods of another written to.
func TestSharedWatchAndALeaseThatIsForged(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.stopKubernetes()
		c.start()
		c.inManyNamespaces()
		c.Settle()
		victim := c.podIn("shop-1", "web-0")
		fakeapi.Edit(c.Cluster, c.Users.CoordinationV1().Leases("shop-0"), "web", func(l *coordinationv1.Lease) {
			l.Spec.LeaseTransitions = ptr.To[int32](500000)
			l.Annotations[api.AnnotationRecord] = "500000/" + string(victim.UID)
			l.Annotations[api.AnnotationHolderUID] = string(victim.UID)
		})
		c.Settle()
		if after := c.podIn("shop-1", "web-0"); victim.ResourceVersion != after.ResourceVersion {
			t.Errorf("the pod of another namespace has now labels %v and annotations %v", after.Labels, after.Annotations)
		}
	})
}

func TestSharedWatchThatIsRefusedForAMoment(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.stopKubernetes()
		s := c.prepare()
		var given atomic.Bool
		s.client.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
			return !given.Load() && a.GetNamespace() == "", nil, apierrors.NewForbidden(corev1.Resource("pods"), "", nil)
		})
		c.run(s)
		c.inManyNamespaces()
		c.Settle()
		c.wantWatches(separateNamespaces + 1)
		given.Store(true)
		c.Wait(10 * time.Minute)
		c.failEverywhere()
		c.wantWatches(1)
	})
}

// A refusal of a watch that works again has no consequences.
func TestSharedWatchThatWasRefusedOnce(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.stopKubernetes()
		s := c.start()
		c.inManyNamespaces()
		c.Settle()
		refused := make(chan struct{})
		close(refused)
		s.pods.lock.Lock()
		all := s.pods.stores[metav1.NamespaceAll]
		all.refused = refused
		s.pods.stores[metav1.NamespaceAll] = all
		s.pods.lock.Unlock()
		c.failEverywhere()
		c.wantWatches(1)
	})
}
