package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// endpoints follows the EndpointSlices of a namespace, as kube-proxy and DNS servers
// do.
type endpoints struct {
	lock    sync.Mutex
	slices  map[types.NamespacedName]*discoveryv1.EndpointSlice
	changed chan struct{}
}

func watchEndpoints(ctx context.Context, client kubernetes.Interface, namespace string) (*endpoints, error) {
	e := &endpoints{slices: map[types.NamespacedName]*discoveryv1.EndpointSlice{}, changed: make(chan struct{})}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	watched := factory.Discovery().V1().EndpointSlices().Informer()
	// At the end the API server stops before the watch does. That is no error to show.
	if err := watched.SetWatchErrorHandlerWithContext(func(watching context.Context, r *cache.Reflector, err error) {
		if ctx.Err() == nil {
			cache.DefaultWatchErrorHandler(watching, r, err)
		}
	}); err != nil {
		return nil, err
	}
	informer := cache.NewTypedSharedIndexInformer[*discoveryv1.EndpointSlice](watched)
	registration, err := informer.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*discoveryv1.EndpointSlice]{
		AddFunc:    func(s *discoveryv1.EndpointSlice) { e.set(s, s) },
		UpdateFunc: func(_, s *discoveryv1.EndpointSlice) { e.set(s, s) },
		DeleteFunc: func(deleted cache.DeletedObject[*discoveryv1.EndpointSlice]) {
			if deleted.OptionalObj != nil {
				e.set(deleted.OptionalObj, nil)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	factory.StartWithContext(ctx)
	cache.WaitFor(ctx, "", registration.HasSyncedChecker())
	return e, nil
}

func (e *endpoints) set(named, now *discoveryv1.EndpointSlice) {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.slices[types.NamespacedName{Namespace: named.Namespace, Name: named.Name}] = now
	close(e.changed)
	e.changed = make(chan struct{})
}

// ready returns the pods that a Service sends traffic to, and a channel that is
// closed at the next change.
func (e *endpoints) ready(service string) (pods []string, changed <-chan struct{}) {
	e.lock.Lock()
	defer e.lock.Unlock()
	for _, s := range e.slices {
		if s == nil || s.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, endpoint := range s.Endpoints {
			if ptr.Deref(endpoint.Conditions.Ready, false) && endpoint.TargetRef != nil {
				pods = append(pods, endpoint.TargetRef.Name)
			}
		}
	}
	slices.Sort(pods)
	return slices.Compact(pods), e.changed
}

// await waits until the Service's ready pods fulfil the condition. It returns them,
// and the time at which they did.
func (e *endpoints) await(ctx context.Context, service string, condition func([]string) bool) ([]string, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		pods, changed := e.ready(service)
		if condition(pods) {
			return pods, time.Now(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, time.Time{}, fmt.Errorf("the endpoints of Service %s are still %v: %w", service, pods, ctx.Err())
		}
	}
}
