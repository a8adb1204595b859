package controller

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// filled is a controller whose caches have so many elections of one namespace, of three pods
// each. It does not run.
func filled(b *testing.B, elections int) *Controller {
	b.Helper()
	c, err := New(fake.NewClientset(), &fakeapi.Recorder{}, nil, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	c.pods.start(ctx, &running)
	c.published.start(ctx, &running)
	pods, err := c.pods.watch("default")
	if err != nil {
		b.Fatal(err)
	}
	cache.WaitForCacheSync(ctx.Done(), pods.informer.HasSynced)
	add := func(indexer cache.Indexer, o any) {
		if err := indexer.Add(o); err != nil {
			b.Fatal(err)
		}
	}
	for i := range elections {
		name := fmt.Sprintf("web-%d", i)
		add(c.services.in("default").informer.GetIndexer(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}},
		})
		for n := range 3 {
			add(pods.informer.GetIndexer(), benchPod(name, n))
		}
	}
	return c
}

func benchPod(name string, n int) *corev1.Pod {
	pod := fmt.Sprintf("%s-%d", name, n)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod, UID: types.UID("uid-" + pod), Labels: map[string]string{"app": name}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

func sizes(b *testing.B, run func(b *testing.B, c *Controller)) {
	b.Helper()
	for _, elections := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("elections=%d", elections), func(b *testing.B) {
			c := filled(b, elections)
			b.ReportAllocs()
			run(b, c)
		})
	}
}

// BenchmarkEvent is of a pod that turns NotReady, until the keys of its elections are queued.
func BenchmarkEvent(b *testing.B) {
	sizes(b, func(b *testing.B, c *Controller) {
		b.Helper()
		before, now := benchPod("web-7", 0), benchPod("web-7", 0)
		now.Status.Conditions[0].Status = corev1.ConditionFalse
		handler := c.podHandler()
		for b.Loop() {
			handler.OnUpdate(before, now)
		}
		if got := c.queue.Len(); got != 1 {
			b.Fatalf("%d elections are queued", got)
		}
	})
}

// BenchmarkGather is of what the caches have of one election, and of the look at it.
func BenchmarkGather(b *testing.B) {
	sizes(b, func(b *testing.B, c *Controller) {
		b.Helper()
		for b.Loop() {
			in, err := c.gatherCached(key{Namespace: "default", Name: "web-7"})
			if err != nil {
				b.Fatal(err)
			}
			if o := observation.Look(in); len(o.Pods) != 3 {
				b.Fatalf("it sees %d pods", len(o.Pods))
			}
		}
	})
}
