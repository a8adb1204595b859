package controller

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// counted counts how often each election was woken.
type counted struct {
	workqueue.TypedRateLimitingInterface[key]
	lock  sync.Mutex
	woken map[string]int
}

func (q *counted) Add(k key) {
	q.lock.Lock()
	q.woken[k.Name]++
	q.lock.Unlock()
	q.TypedRateLimitingInterface.Add(k)
}

// take returns the elections that were woken since it was called last.
func (q *counted) take() []string {
	q.lock.Lock()
	defer q.lock.Unlock()
	woken := q.woken
	q.woken = map[string]int{}
	delete(woken, "")
	return slices.Sorted(maps.Keys(woken))
}

// A change in a namespace costs as much as it makes a difference to, and not what there is.
func TestWhomAChangeWakes(t *testing.T) {
	inCluster(t, func(c *cluster) {
		for i := range 5 {
			app := fmt.Sprintf("app-%d", i)
			c.Create(fakeapi.NewService(app, fakeapi.WithSelector("app", app)), fakeapi.NewPod(app+"-0", fakeapi.WithLabel("app", app), fakeapi.WithLabel("part", "some")))
		}
		s := c.prepare()
		queue := &counted{s.queue, sync.Mutex{}, map[string]int{}}
		s.queue = queue
		c.run(s)
		c.Settle()
		queue.take()
		expect := func(what string, want ...string) {
			t.Helper()
			c.Settle()
			if diff := cmp.Diff(want, queue.take()); diff != "" {
				t.Errorf("%s wakes (-want +got):\n%s", what, diff)
			}
		}
		c.EditPod("app-1-0", fakeapi.SetNotReady)
		expect("a pod", "app-1")
		c.Create(fakeapi.NewService("other", fakeapi.WithSelector("app", "other")))
		expect("a Service that selects nothing", "other")
		c.Create(fakeapi.NewService("younger", fakeapi.WithSelector("app", "app-2")))
		expect("a Service that selects the pod of another", "app-2", "younger")
		c.EditService("app-3", fakeapi.WithSelector("app", "app-2"))
		expect("a Service that selects another pod now", "app-2", "app-3", "younger")
		c.EditPod("app-4-0", func(p *corev1.Pod) { p.Labels["app"] = "app-0" })
		expect("a pod that another Service selects now", "app-0", "app-4")
		c.Create(fakeapi.NewService("any", func(s *corev1.Service) {
			s.Spec.Selector = nil
			s.Annotations[api.AnnotationSelector] = "part,app!=app-1"
		}))
		expect("a Service that selects by the key of a label", "any", "app-0", "app-2", "app-3", "app-4", "younger")
		c.EditPod("app-1-0", fakeapi.SetReady)
		expect("a pod that it does not select", "app-1")
		c.EditPod("app-2-0", fakeapi.SetNotReady)
		expect("a pod that it selects", "any", "app-2", "app-3", "younger")
	})
}
