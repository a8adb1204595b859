package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/pager"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// release takes away what is left of an election that no Service asks for. The Lease, nil
// if there is none, goes last of what is its Services': its presence makes another replica,
// or this one after a restart, finish what was left undone. What is left of others does not
// hold it up.
func (r road) release(ctx context.Context, k key, l *coordinationv1.Lease) error {
	r.released(k)
	var owners []metav1.OwnerReference
	if l != nil && !lease.Decode(l).Foreign {
		owners = l.OwnerReferences
	}
	left, unreleased, err := r.clean(ctx, k.Namespace, owners)
	switch {
	case unreleased == nil, l == nil, lease.Decode(l).Foreign:
		return err
	case slices.ContainsFunc(left.Annotated(), func(s *corev1.Service) bool { return observation.LeaseKey(s) == k }):
		// A Service has opted in, and the cache has heard of its Lease first.
		return err
	case slices.ContainsFunc(l.OwnerReferences, func(o metav1.OwnerReference) bool { return unreleased.Has(o.Name) }):
		return err
	}
	deleted, failed := r.deleteLease(ctx, l)
	if deleted {
		r.optedOut(left.OptedOut(func(s *corev1.Service) bool {
			return slices.ContainsFunc(l.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == s.UID })
		}), false)
	}
	return errors.Join(err, failed)
}

// releaseLeftovers takes away what former elections have left behind in a namespace.
func (r road) releaseLeftovers(ctx context.Context, namespace string) error {
	_, _, err := r.clean(ctx, namespace, nil)
	return err
}

// clean takes away what is left behind in a namespace, and returns what there was, with the
// names of the Services of which something is left; nil if it could not be read. It reads
// from the API server: a cache that has not heard of a Service would strip its master. What
// cannot be written holds up only what depends on it. owners are those of the election's Lease.
func (r road) clean(ctx context.Context, namespace string, owners []metav1.OwnerReference) (left routing.Leftovers, unreleased sets.Set[string], err error) {
	if left, err = r.leftovers(ctx, namespace); err != nil {
		return left, nil, err
	}
	left.Owners = owners
	var errs []error
	unreleased = sets.New[string]()
	var released []*corev1.Service
	changes := left.ReleaseServices()
	for i, w := range r.write(ctx, changes) {
		if w.err != nil {
			unreleased.Insert(changes[i].Name)
			errs = append(errs, w.err)
		} else if s, is := w.object.(*corev1.Service); is {
			released = append(released, s)
		}
	}
	withoutSlices := sets.New[string]()
	changes, waits := left.Release(unreleased)
	changes = append(changes, left.Disown(released, unreleased)...)
	for i, w := range r.write(ctx, changes) {
		switch {
		case changes[i].Kind == routing.KindPod:
		case w.err != nil:
			unreleased.Insert(left.ServiceOf(changes[i]))
		default:
			withoutSlices.Insert(left.ServiceOf(changes[i]))
		}
		errs = append(errs, w.err)
	}
	// They come after the other writes to the same Services, and hold up nothing.
	for _, w := range r.write(ctx, left.ReleaseConditions(unreleased)) {
		errs = append(errs, w.err)
	}
	r.optedOut(left.OptedOut(func(s *corev1.Service) bool { return withoutSlices.Has(s.Name) }), true)
	if len(waits) > 0 {
		unreleased.Insert(waits...)
		errs = append(errs, errAwaited)
	}
	return left, unreleased, errors.Join(errs...)
}

// findLeftovers finds, once after the start, pods of a namespace, or of all, whose Services went
// away while no controller ran. Services and Leases are watched anyway.
func (c *Controller) findLeftovers(ctx context.Context, namespace string) {
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: time.Minute}
	err := backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := c.markedPods(ctx, namespace, func(pod *corev1.Pod) {
			routed := slices.DeleteFunc(c.annotatedServices(pod.Namespace), func(s *corev1.Service) bool { return !api.Routed(s) })
			if observation.OldestSelecting(routed, pod) == nil {
				c.queue.Add(key{Namespace: pod.Namespace})
			}
		})
		if err != nil {
			klog.FromContext(ctx).Error(err, "Failed to look for leftovers, will retry")
		}
		return err == nil, nil
	})
	if err != nil {
		klog.FromContext(ctx).V(4).Info("Stopped looking for leftovers", "reason", err)
	}
}

// markedPods calls visit for the pods that the controller has labelled, some of
// them twice.
func (c *Controller) markedPods(ctx context.Context, namespace string, visit func(*corev1.Pod)) error {
	pods := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.client.CoreV1().Pods(namespace).List(ctx, options)
	})
	for _, label := range []string{api.LabelPodUID, api.LabelDesignation} {
		err := pods.EachListItem(ctx, metav1.ListOptions{LabelSelector: label}, func(o runtime.Object) error {
			if pod := o.(*corev1.Pod); observation.MarkedPod(pod) {
				visit(pod)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("listing the pods with the label %s: %w", label, err)
		}
	}
	return nil
}
