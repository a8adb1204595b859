//go:build integration

package integration

import (
	"context"
	"errors"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// guard watches a namespace from a test's beginning to its end, and fails the
// test if what must never happen does: two pods ready in the slices of one
// address family of a Service, an epoch that falls, one with two holders, or a Lease that is deleted.
type guard struct {
	t    *testing.T
	lock sync.Mutex
	// ready are the ready pods of each slice.
	ready map[types.NamespacedName]slice
	// open are Services that may have
	// any number of ready pods, as they are not or no longer active-standby.
	open sets.Set[string]
	// leaving are Leases that may be deleted.
	leaving sets.Set[string]
	epochs  map[string]int32
	holders map[string]map[int32]string
}

type slice struct {
	service string
	family  discoveryv1.AddressType
	pods    sets.Set[string]
}

func newGuard(t *testing.T, namespace *corev1.Namespace) *guard {
	t.Helper()
	g := &guard{
		t: t, ready: map[types.NamespacedName]slice{}, open: sets.New[string](), leaving: sets.New[string](),
		epochs: map[string]int32{}, holders: map[string]map[int32]string{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	t.Cleanup(func() { cancel(); watching.Wait() })
	slices := client.DiscoveryV1().EndpointSlices(namespace.Name)
	leases := client.CoordinationV1().Leases(namespace.Name)
	for _, w := range []cache.WatchFuncWithContext{slices.Watch, leases.Watch} {
		// The namespace is empty as yet, so that everything is an event.
		events, err := watchtools.NewRetryWatcherWithContext(ctx, namespace.ResourceVersion, &cache.ListWatch{WatchFuncWithContext: w})
		if err != nil {
			t.Fatal(err)
		}
		watching.Go(func() {
			for event := range events.ResultChan() {
				g.see(event)
			}
		})
	}
	return g
}

// opened: from now on the Service may have several ready pods.
func (g *guard) opened(service string) {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.open.Insert(service)
}

// mayGo: from now on the Lease may be deleted.
func (g *guard) mayGo(lease string) {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.leaving.Insert(lease)
}

func (g *guard) see(event watch.Event) {
	g.lock.Lock()
	defer g.lock.Unlock()
	switch o := event.Object.(type) {
	case *discoveryv1.EndpointSlice:
		g.seeSlice(o, event.Type == watch.Deleted)
	case *coordinationv1.Lease:
		if event.Type != watch.Deleted {
			g.seeLease(o)
		} else if !g.leaving.Has(o.Name) {
			g.t.Errorf("the Lease %s was deleted", o.Name)
		}
	case *metav1.Status:
		g.t.Errorf("the guard's watch ended: %v", errors.New(o.Message))
	}
}

func (g *guard) seeSlice(s *discoveryv1.EndpointSlice, deleted bool) {
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	delete(g.ready, key)
	if deleted {
		return
	}
	now := slice{s.Labels[discoveryv1.LabelServiceName], s.AddressType, sets.New[string]()}
	for _, e := range s.Endpoints {
		if e.Conditions.Ready != nil && *e.Conditions.Ready {
			now.pods.Insert(e.TargetRef.Name + " " + string(e.TargetRef.UID))
		}
	}
	g.ready[key] = now
	all := sets.New[string]()
	for _, other := range g.ready {
		if other.service == now.service && other.family == now.family {
			all = all.Union(other.pods)
		}
	}
	if all.Len() > 1 && !g.open.Has(now.service) {
		g.t.Errorf("two pods of Service %s were ready at once: %v", now.service, sets.List(all))
	}
}

func (g *guard) seeLease(l *coordinationv1.Lease) {
	if l.Labels[api.LabelManagedBy] != api.ManagedBy {
		return
	}
	epoch, uid := *l.Spec.LeaseTransitions, l.Annotations[api.AnnotationHolderUID]
	if last := g.epochs[l.Name]; epoch < last {
		g.t.Errorf("the epoch of Lease %s fell from %d to %d", l.Name, last, epoch)
	}
	g.epochs[l.Name] = epoch
	if g.holders[l.Name] == nil {
		g.holders[l.Name] = map[int32]string{}
	}
	if before := g.holders[l.Name][epoch]; before != "" && uid != "" && before != uid {
		g.t.Errorf("epoch %d of Lease %s has two holders: %s and %s", epoch, l.Name, before, uid)
	}
	if uid != "" {
		g.holders[l.Name][epoch] = uid
	}
}
