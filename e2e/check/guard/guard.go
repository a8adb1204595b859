// Package guard watches a namespace for what the controller must never do.
package guard

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// Guard fails a test if one of these is seen:
//
//   - two pods are ready in the EndpointSlices of one Service and address family,
//     whichever controllers manage these;
//   - the epoch of a Lease falls, or one epoch has two holders;
//   - a Lease is deleted.
//
// It resumes when an API server that was away comes back. What happened and passed
// in the meantime it does not see.
type Guard struct {
	tb   testing.TB
	lock sync.Mutex
	// ready has the ready pods of each slice.
	ready map[types.NamespacedName]slice
	// open are Services that may have any number of ready pods, because they are not
	// active-standby, or no longer.
	open sets.Set[string]
	// leaving are Leases that may be deleted.
	leaving sets.Set[string]
	// epochs has the highest epoch of each Lease, and holders its holder in each epoch.
	epochs  map[string]int32
	holders map[string]map[int32]string
}

type slice struct {
	service string
	family  discoveryv1.AddressType
	pods    sets.Set[string]
}

func newGuard(tb testing.TB) *Guard {
	tb.Helper()
	return &Guard{
		tb: tb, ready: map[types.NamespacedName]slice{}, open: sets.New[string](), leaving: sets.New[string](),
		epochs: map[string]int32{}, holders: map[string]map[int32]string{},
	}
}

// New guards a namespace until the test ends. It returns once it watches.
func New(tb testing.TB, client kubernetes.Interface, namespace string) *Guard {
	tb.Helper()
	g := newGuard(tb)
	ctx, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	tb.Cleanup(func() { cancel(); factory.Shutdown() })
	slices := factory.Discovery().V1().EndpointSlices().Informer()
	leases := factory.Coordination().V1().Leases().Informer()
	for informer, handler := range map[cache.SharedIndexInformer]func(object any, deleted bool){
		slices: func(object any, deleted bool) { g.seeSlice(object.(*discoveryv1.EndpointSlice), deleted) },
		leases: func(object any, deleted bool) { g.seeLease(object.(*coordinationv1.Lease), deleted) },
	} {
		see := func(object any, deleted bool) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			g.lock.Lock()
			defer g.lock.Unlock()
			handler(object, deleted)
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { see(object, false) },
			UpdateFunc: func(_, object any) { see(object, false) },
			DeleteFunc: func(object any) { see(object, true) },
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	factory.StartWithContext(ctx)
	for informer, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			tb.Fatalf("Failed to watch %v", informer)
		}
	}
	return g
}

// Opened tells the guard that the Service may have several ready pods from now on.
func (g *Guard) Opened(service string) {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.open.Insert(service)
}

// MayGo tells the guard that the Lease may be deleted from now on.
func (g *Guard) MayGo(lease string) {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.leaving.Insert(lease)
}

// Holders returns the name and UID of each pod that has held the Lease, by epoch.
func (g *Guard) Holders(lease string) (holders []string) {
	g.lock.Lock()
	defer g.lock.Unlock()
	for epoch := range g.epochs[lease] + 1 {
		if holder := g.holders[lease][epoch]; holder != "" {
			holders = append(holders, holder)
		}
	}
	return holders
}

func (g *Guard) seeSlice(s *discoveryv1.EndpointSlice, deleted bool) {
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	delete(g.ready, key)
	if deleted {
		return
	}
	now := slice{s.Labels[discoveryv1.LabelServiceName], s.AddressType, sets.New[string]()}
	if now.service == "" {
		return // a slice of no Service gets no traffic
	}
	for _, e := range s.Endpoints {
		// An unset condition means ready, to kube-proxy too.
		if ptr.Deref(e.Conditions.Ready, true) {
			now.pods.Insert(identity(e))
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
		g.tb.Errorf("two pods of Service %s were ready at once: %v", now.service, sets.List(all))
	}
}

// identity tells incarnations of a pod apart. An endpoint without a pod is told by
// its addresses.
func identity(e discoveryv1.Endpoint) string {
	if e.TargetRef == nil {
		return fmt.Sprint(e.Addresses)
	}
	return e.TargetRef.Name + " " + string(e.TargetRef.UID)
}

func (g *Guard) seeLease(l *coordinationv1.Lease, deleted bool) {
	if l.Labels[api.LabelManagedBy] != api.ManagedBy {
		return
	}
	if deleted {
		if !g.leaving.Has(l.Name) {
			g.tb.Errorf("the Lease %s was deleted", l.Name)
		}
		return
	}
	if !lease.Decode(l).Exists {
		// The controller has just created it, and gives out its epoch next.
		return
	}
	epoch, uid := ptr.Deref(l.Spec.LeaseTransitions, 0), l.Annotations[api.AnnotationHolderUID]
	if recorded, holder, found := lease.Recorded(l); found && lease.Contender(l) != "" {
		// Another program has written the rest.
		epoch, uid = recorded, string(holder)
	}
	if last := g.epochs[l.Name]; epoch < last {
		g.tb.Errorf("the epoch of Lease %s fell from %d to %d", l.Name, last, epoch)
	}
	g.epochs[l.Name] = max(epoch, g.epochs[l.Name])
	if g.holders[l.Name] == nil {
		g.holders[l.Name] = map[int32]string{}
	}
	if uid == "" {
		return
	}
	before, holder := g.holders[l.Name][epoch], fmt.Sprintf("%s %s", ptr.Deref(l.Spec.HolderIdentity, ""), uid)
	if before == "" {
		g.holders[l.Name][epoch] = holder
	} else if !strings.HasSuffix(before, uid) { // only the name differs if a user has edited it
		g.tb.Errorf("epoch %d of Lease %s has two holders: %s and %s", epoch, l.Name, before, holder)
	}
}
