package kubectl

import (
	"context"
	"fmt"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationinformers "k8s.io/client-go/informers/coordination/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/live"
)

// follower keeps a copy of a namespace, or of all, up to date until its context ends.
type follower struct {
	client                         kubernetes.Interface
	services, leases, pods, slices cache.SharedIndexInformer
	// changed says that something has changed since the last wait.
	changed chan struct{}
	// failed holds the first error that a retry cannot help.
	failed chan error
	// noSlices is closed if the EndpointSlices may not be watched.
	noSlices chan struct{}
}

// follow returns once everything has been read.
func follow(ctx context.Context, client kubernetes.Interface, namespace string) (*follower, error) {
	f := &follower{client: client, changed: make(chan struct{}, 1), failed: make(chan error, 1), noSlices: make(chan struct{})}
	f.services = coreinformers.NewServiceInformerWithOptions(client, namespace, internalinterfaces.InformerOptions{})
	f.pods = coreinformers.NewPodInformerWithOptions(client, namespace, internalinterfaces.InformerOptions{})
	f.leases = coordinationinformers.NewLeaseInformerWithOptions(client, namespace, selecting(live.OwnLeases))
	// Foreign Leases are not among these; world reads them.
	followed := map[string]cache.SharedIndexInformer{"Services": f.services, "pods": f.pods, "Leases": f.leases}
	f.slices = discoveryinformers.NewEndpointSliceInformerWithOptions(client, namespace, internalinterfaces.InformerOptions{})
	followed["EndpointSlices"] = f.slices
	for what, informer := range followed {
		if err := f.run(ctx, what, informer); err != nil {
			return nil, err
		}
	}
	for _, informer := range followed {
		var optional <-chan struct{}
		if informer == f.slices {
			optional = f.noSlices
		}
		select {
		case <-informer.HasSyncedChecker().Done():
		case <-optional:
		case err := <-f.failed:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return f, nil
}

func selecting(labels string) internalinterfaces.InformerOptions {
	return internalinterfaces.InformerOptions{TweakListOptions: func(o *metav1.ListOptions) { o.LabelSelector = labels }}
}

func (f *follower) run(ctx context.Context, what string, informer cache.SharedIndexInformer) error {
	var forbidden sync.Once
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			// It is logged, and retried.
			cache.DefaultWatchErrorHandler(ctx, r, err)
			return
		}
		if informer == f.slices {
			forbidden.Do(func() { close(f.noSlices) })
			return
		}
		select {
		case f.failed <- fmt.Errorf("watching the %s: %w", what, err):
		default:
		}
	})
	if err != nil {
		return err
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { f.notify() },
		UpdateFunc: func(any, any) { f.notify() },
		DeleteFunc: func(any) { f.notify() },
	}); err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	return nil
}

func (f *follower) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// wait waits until something has changed.
func (f *follower) wait(ctx context.Context) error {
	select {
	case <-f.changed:
		return nil
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// seesSlices reports whether the world has the EndpointSlices.
func (f *follower) seesSlices() bool {
	select {
	case <-f.noSlices:
		return false
	default:
		return true
	}
}

// world returns what there is now.
func (f *follower) world(ctx context.Context) (*world, error) {
	w := newWorld()
	for _, s := range objects[*corev1.Service](f.services) {
		if api.Annotated(s) {
			w.services = append(w.services, s)
		}
	}
	w.pods = objects[*corev1.Pod](f.pods)
	w.addLeases(objects[*coordinationv1.Lease](f.leases))
	if w.seesSlices = f.seesSlices(); w.seesSlices {
		w.slices = objects[*discoveryv1.EndpointSlice](f.slices)
	}
	return w, w.complete(ctx, live.Reader{Client: f.client})
}

func objects[T any](informer cache.SharedIndexInformer) (all []T) {
	for _, o := range informer.GetStore().List() {
		all = append(all, o.(T))
	}
	return all
}
