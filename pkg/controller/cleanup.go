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
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/pager"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// release takes away what is left of an election that no Service asks for. The Lease, nil
// if there is none, goes last: its presence makes another replica, or this one after a
// restart, finish what was left undone.
func (r road) release(ctx context.Context, k key, l *coordinationv1.Lease) error {
	r.released(k)
	annotated, err := r.clean(ctx, k.Namespace)
	if err != nil || l == nil || lease.Decode(l).Foreign {
		return err
	}
	if slices.ContainsFunc(annotated, func(s *corev1.Service) bool { return observation.LeaseKey(s) == k }) {
		// A Service has opted in, and the cache has heard of its Lease first.
		return nil
	}
	return r.deleteLease(ctx, l)
}

// releaseLeftovers takes away what former elections have left behind in a namespace.
func (r road) releaseLeftovers(ctx context.Context, namespace string) error {
	_, err := r.clean(ctx, namespace)
	return err
}

// clean takes away what is left behind in a namespace, and returns the Services that are
// still annotated. It reads from the API server: a cache that has not heard of a Service
// would strip its master.
func (r road) clean(ctx context.Context, namespace string) (annotated []*corev1.Service, err error) {
	left, err := r.leftovers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	steps, waits := routing.Release(left)
	for _, changes := range steps {
		var errs []error
		for _, w := range r.write(ctx, changes) {
			errs = append(errs, w.err)
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
	}
	if waits {
		return nil, errAwaited
	}
	return left.Annotated(), nil
}

// findLeftovers finds, once after the start, pods of a namespace, or of all, whose Services went
// away while no controller ran. Services and Leases are watched anyway.
func (c *Controller) findLeftovers(ctx context.Context, namespace string) {
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: time.Minute}
	err := backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := c.markedPods(ctx, namespace, func(pod *corev1.Pod) {
			if observation.OldestSelecting(c.annotatedServices(pod.Namespace), pod) == nil {
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
