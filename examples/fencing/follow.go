package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	coordinationinformers "k8s.io/client-go/informers/coordination/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// unexpiring takes the place of a third of the duration if the Lease has no duration.
const unexpiring = 5 * time.Second

// follow reads the Lease until ctx is done: a few times between two renewals, and at once
// when a watch shows a change. The watch serves only to know when to read. Without it the
// pod learns later that another pod is the master, but it does not believe in its own
// Lease for longer.
func (m *member) follow(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	informer := coordinationinformers.NewTypedLeaseInformerWithOptions(client, namespace, internalinterfaces.InformerOptions{
		// The rights to list and watch are for this name only.
		TweakListOptions: func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		},
	})
	if _, err := informer.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*coordinationv1.Lease]{
		AddFunc:    func(*coordinationv1.Lease) { notify() },
		UpdateFunc: func(_, _ *coordinationv1.Lease) { notify() },
		DeleteFunc: func(cache.DeletedObject[*coordinationv1.Lease]) { notify() },
	}); err != nil {
		return fmt.Errorf("watching the Lease: %w", err)
	}
	var watching sync.WaitGroup
	watching.Go(func() { informer.RunWithContext(ctx) })
	defer watching.Wait()
	for {
		third, expires := m.third()
		if !expires {
			third = unexpiring
		}
		if err := m.ask(ctx, client, namespace, name, third); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Failed to read Lease", "lease", klog.KRef(namespace, name))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(third / 4):
		}
	}
}

// ask reads the Lease, and waits for the answer no longer than timeout. It names no
// resource version, so that the answer is no older than the question.
func (m *member) ask(ctx context.Context, client kubernetes.Interface, namespace, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := time.Now()
	lease, err := client.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		m.answered(nil, asked)
		return nil
	case err != nil:
		return err
	}
	m.answered(lease, asked)
	return nil
}
