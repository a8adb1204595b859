package failover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// sightings are the objects that the API server has shown, with the time of each.
// They tell when each step of a failover was done.
type sightings struct {
	lock sync.Mutex
	all  []sighting
	// routes is when a Service or an EndpointSlice last changed. kube-proxy acts on
	// these.
	routes time.Time
}

type sighting struct {
	at     time.Time
	object any
	gone   bool
}

// watch records what is seen until ctx is done: Services and EndpointSlices of all
// namespaces, because kube-proxy acts on them, and pods and Leases of the workloads'
// namespace.
func watch(ctx context.Context, client kubernetes.Interface) (*sightings, error) {
	s := &sightings{}
	everywhere := informers.NewSharedInformerFactory(client, 0)
	here := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	for _, informer := range []cache.SharedIndexInformer{
		everywhere.Core().V1().Services().Informer(), everywhere.Discovery().V1().EndpointSlices().Informer(),
		here.Core().V1().Pods().Informer(), here.Coordination().V1().Leases().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { s.add(object, false) },
			UpdateFunc: func(_, object any) { s.add(object, false) },
			DeleteFunc: func(object any) { s.add(object, true) },
		}); err != nil {
			return nil, err
		}
	}
	for _, factory := range []informers.SharedInformerFactory{everywhere, here} {
		factory.Start(ctx.Done())
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return nil, fmt.Errorf("watch %s: %w", kind, context.Cause(ctx))
			}
		}
	}
	return s, nil
}

func (s *sightings) add(object any, gone bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	now := time.Now()
	if unknown, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = unknown.Obj
	}
	s.all = append(s.all, sighting{now, object, gone})
	switch object.(type) {
	case *corev1.Service, *discoveryv1.EndpointSlice:
		s.routes = now
	}
}

// forget drops what was seen so far.
func (s *sightings) forget() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.all = nil
}

// quiet returns how long kube-proxy has had nothing to do.
func (s *sightings) quiet() time.Duration {
	s.lock.Lock()
	defer s.lock.Unlock()
	return time.Since(s.routes)
}

// first returns when something that fulfils the condition was first seen, or zero.
func (s *sightings) first(is func(sighting) bool) time.Time {
	s.lock.Lock()
	defer s.lock.Unlock()
	if i := slices.IndexFunc(s.all, is); i >= 0 {
		return s.all[i].at
	}
	return time.Time{}
}

// fill sets when the failure of the workload's old master was noticed, decided and
// published, and how the master moved.
func (s *sightings) fill(o *results.Observation, old *corev1.Pod) {
	o.Noticed = s.first(func(seen sighting) bool {
		pod, is := seen.object.(*corev1.Pod)
		return is && pod.UID == old.UID && (seen.gone || !ready(pod))
	})
	o.Published = s.first(func(seen sighting) bool {
		slice, is := seen.object.(*discoveryv1.EndpointSlice)
		if !is || seen.gone || slice.Namespace != namespace || slice.Labels[discoveryv1.LabelServiceName] != o.Variant.Object() {
			return false
		}
		serving := endpoints(slice)
		if o.Variant.Routing == results.Plain {
			return !slices.Contains(serving, old.UID)
		}
		return slices.ContainsFunc(serving, func(uid types.UID) bool { return uid != old.UID })
	})
	o.Moves = s.moves(o.Variant.Object(), old.UID)
	if len(o.Moves) > 0 {
		o.Decided = o.Moves[0].At
	}
}

// moves returns the moves that a Lease has recorded, from that master on.
func (s *sightings) moves(name string, from types.UID) (all []results.Move) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, seen := range s.all {
		l, is := seen.object.(*coordinationv1.Lease)
		// The UID, because an edit of the holder alone is a request, not a decision.
		if !is || seen.gone || l.Name != name || l.Spec.AcquireTime == nil || l.Annotations[api.AnnotationHolderUID] == string(from) {
			continue
		}
		from = types.UID(l.Annotations[api.AnnotationHolderUID])
		all = append(all, results.Move{At: l.Spec.AcquireTime.Time, To: ptr.Deref(l.Spec.HolderIdentity, ""), Reason: l.Annotations[api.AnnotationReason]})
	}
	return all
}

// endpoints returns the pods that a slice lists as ready.
func endpoints(slice *discoveryv1.EndpointSlice) (pods []types.UID) {
	for _, endpoint := range slice.Endpoints {
		if ptr.Deref(endpoint.Conditions.Ready, true) && endpoint.TargetRef != nil {
			pods = append(pods, endpoint.TargetRef.UID)
		}
	}
	return pods
}
