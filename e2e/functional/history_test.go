//go:build e2e

package functional

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// history records what can no longer be read when a test needs it: when Leases were
// renewed before their last transition, and when the processes of pods that are gone
// ended. All nodes of kind have the same clock, so that their times can be compared.
type history struct {
	*scene
	mutex    sync.Mutex
	renewals map[epoch][]time.Time
	// ended is when the processes of a pod ended, and known when the API server showed
	// that.
	ended, known map[types.UID]time.Time
}

type epoch struct {
	lease  string
	number int32
}

// history watches the namespace until the test ends. It returns once it watches.
func (s *scene) history() *history {
	s.Helper()
	h := &history{scene: s, renewals: map[epoch][]time.Time{}, ended: map[types.UID]time.Time{}, known: map[types.UID]time.Time{}}
	ctx, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactoryWithOptions(cluster.Client, 0, informers.WithNamespace(s.namespace))
	s.Cleanup(func() { cancel(); factory.Shutdown() })
	see := func(object any) {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		switch object := object.(type) {
		case *coordinationv1.Lease:
			h.seeLease(object)
		case *corev1.Pod:
			h.seePod(object)
		}
	}
	handlers := cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, object any) { see(object) }, DeleteFunc: see}
	for _, informer := range []cache.SharedIndexInformer{factory.Coordination().V1().Leases().Informer(), factory.Core().V1().Pods().Informer()} {
		if _, err := informer.AddEventHandler(handlers); err != nil {
			s.Fatal(err)
		}
	}
	factory.StartWithContext(ctx)
	for informer, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			s.Fatalf("Failed to watch %v", informer)
		}
	}
	return h
}

func (h *history) seeLease(l *coordinationv1.Lease) {
	at, renewed := epoch{l.Name, ptr.Deref(l.Spec.LeaseTransitions, 0)}, l.Spec.RenewTime
	times := h.renewals[at]
	if renewed != nil && (len(times) == 0 || times[len(times)-1].Before(renewed.Time)) {
		h.renewals[at] = append(times, renewed.Time)
	}
}

// seePod records when the last container of a pod ended. The kubelet reports that, to the
// second, before the pod is removed.
func (h *history) seePod(p *corev1.Pod) {
	var last time.Time
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Terminated == nil {
			return
		}
		if at := c.State.Terminated.FinishedAt.Time; at.After(last) {
			last = at
		}
	}
	if h.ended[p.UID].IsZero() && !last.IsZero() {
		h.ended[p.UID], h.known[p.UID] = last, time.Now()
	}
}

// renewed returns the times of the Lease's renewals in an epoch, the first of which is
// the write that began the epoch.
func (h *history) renewed(lease string, number int32) []time.Time {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.renewals[epoch{lease, number}]
}

// awaitRenewals waits until the Lease has been renewed this many times in an epoch. The
// write that began the epoch does not count.
func (h *history) awaitRenewals(lease string, number int32, count int) {
	h.Helper()
	h.eventually(fmt.Sprintf("Lease %s is renewed %d times in epoch %d", lease, count, number), func() error {
		if times := h.renewed(lease, number); len(times) <= count {
			return fmt.Errorf("its renew times are %v", times)
		}
		return nil
	})
}

// awaitEnd waits until the pod's processes have ended. It returns when that was, and when
// the API server showed it.
func (h *history) awaitEnd(pod *corev1.Pod) (at, known time.Time) {
	h.Helper()
	h.eventually(pod.Name+" has ended", func() error {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		if at, known = h.ended[pod.UID], h.known[pod.UID]; at.IsZero() {
			return fmt.Errorf("the API server has not shown that")
		}
		return nil
	})
	return at, known
}
