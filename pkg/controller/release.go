package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/pager"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// releaseService takes away what was written to a Service that is not annotated
// any more. It is found under its name, also while others still share the
// Lease of that name.
func (c *Controller) releaseService(ctx context.Context, k key) error {
	service, found := c.services.in(k.Namespace).get(k)
	if !found || api.Annotated(service) {
		return nil
	}
	c.warnings.forget(service.UID)
	p := routing.ReleaseService(service)
	if p.Empty() {
		return nil
	}
	if err := c.patch(ctx, []routing.Patch{p}, ignore); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	klog.FromContext(ctx).V(2).Info("Released", "service", klog.KObj(service))
	return nil
}

// release takes away what is left of an election that no Service asks for any
// more: what was written to pods, and the Lease. The Lease goes last, since its
// presence is what brings another replica, or this one after a restart, here
// again.
func (c *Controller) release(ctx context.Context, k key) error {
	c.metrics.forget(k)
	annotated, err := c.releasePods(ctx, k.Namespace)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(annotated, func(s corev1.Service) bool { return leaseKey(&s) == k }) {
		// The Lease that another replica has made for it was heard of first.
		return nil
	}
	lease, found := c.leases.in(k.Namespace).get(k)
	if !found {
		return nil
	}
	err = c.client.CoordinationV1().Leases(k.Namespace).Delete(ctx, k.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting the Lease: %w", err)
	}
	return nil
}

func ignore(routing.Patch, runtime.Object) {}

// releasePods takes the marks from the pods of a namespace that no annotated
// Service selects, and returns the annotated Services. It asks the API server
// and not the caches: a cache that had not heard of a Service would strip that
// one's master. Pods are listed first, so that a mark it sees was made for a
// Service that it sees as well.
func (c *Controller) releasePods(ctx context.Context, namespace string) (annotated []corev1.Service, err error) {
	var marked []*corev1.Pod
	if err := c.markedPods(ctx, namespace, func(pod *corev1.Pod) { marked = append(marked, pod) }); err != nil {
		return nil, err
	}
	services, err := c.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Services: %w", err)
	}
	annotated = slices.DeleteFunc(services.Items, func(s corev1.Service) bool { return !api.Annotated(&s) })
	var patches []routing.Patch
	for _, pod := range marked {
		if slices.ContainsFunc(annotated, func(s corev1.Service) bool { return api.Selects(&s, pod.Labels) }) {
			continue
		}
		if p := routing.ReleasePod(pod); !p.Empty() {
			patches = append(patches, p)
		}
	}
	if err := c.patch(ctx, patches, ignore); err != nil {
		return nil, err
	}
	if len(annotated) == 0 && len(c.annotatedServices(namespace)) == 0 {
		c.pods.forget(namespace)
	}
	return annotated, nil
}

// markedPods calls visit for every pod that the controller has written to.
func (c *Controller) markedPods(ctx context.Context, namespace string, visit func(*corev1.Pod)) error {
	pods := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.client.CoreV1().Pods(namespace).List(ctx, options)
	})
	seen := map[key]bool{}
	for _, label := range []string{api.LabelPodUID, api.LabelDesignation} {
		err := pods.EachListItem(ctx, metav1.ListOptions{LabelSelector: label}, func(o runtime.Object) error {
			pod := o.(*corev1.Pod)
			if k := (key{Namespace: pod.Namespace, Name: pod.Name}); routing.MarkedPod(pod) && !seen[k] {
				seen[k] = true
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

// findLeftovers finds, once after the start, pods whose Services went away
// while no controller ran. Services and Leases are watched anyway.
func (c *Controller) findLeftovers(ctx context.Context) {
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: time.Minute}
	err := backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		for namespace := range c.services {
			err := c.markedPods(ctx, namespace, func(pod *corev1.Pod) {
				if !slices.ContainsFunc(c.annotatedServices(pod.Namespace), func(s *corev1.Service) bool { return api.Selects(s, pod.Labels) }) {
					c.queue.Add(key{Namespace: pod.Namespace})
				}
			})
			if err != nil {
				klog.FromContext(ctx).Error(err, "Looking for what was left behind failed, will be retried")
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		klog.FromContext(ctx).V(4).Info("Stopped looking for what was left behind", "reason", err)
	}
}
