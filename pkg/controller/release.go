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
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// release takes away what is left of an election that no Service asks for any
// more. The Lease goes last, since its presence is what brings another replica,
// or this one after a restart, here again.
func (c *Controller) release(ctx context.Context, k key) error {
	c.metrics.forget(k)
	c.downs.forget(k)
	c.wantHeartbeats(k, nil)
	c.wantProbes(k, nil)
	annotated, err := c.releaseLeftovers(ctx, k.Namespace)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(annotated, func(s *corev1.Service) bool { return observation.LeaseKey(s) == k }) {
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

func ignore(routing.Change, runtime.Object) {}

// releaseLeftovers takes away what was written in a namespace to Services that
// are not annotated any more, then to pods that no annotated Service selects, and
// the former's EndpointSlices; and returns the annotated Services. It asks the API
// server and not the caches: a cache that had not heard of a Service would strip
// that one's master.
func (c *Controller) releaseLeftovers(ctx context.Context, namespace string) (annotated []*corev1.Service, err error) {
	pods, services, err := c.listNamespace(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var fromServices, fromPods []routing.Change
	for _, s := range services {
		if api.Annotated(s) {
			annotated = append(annotated, s)
		} else if p := routing.ReleaseService(s); !p.Empty() {
			fromServices = append(fromServices, p)
		}
	}
	for _, pod := range pods {
		if p := routing.ReleasePod(pod); !p.Empty() && observation.OldestSelecting(annotated, pod) == nil {
			fromPods = append(fromPods, p)
		}
	}
	// As long as a Service selects the master's UID, the master keeps it.
	for _, changes := range [][]routing.Change{fromServices, fromPods} {
		if err := c.apply(ctx, changes, ignore); err != nil {
			return nil, err
		}
	}
	if err := c.releaseSlices(ctx, namespace, services, pods); err != nil {
		return nil, err
	}
	if len(annotated) == 0 {
		c.pods.forget(namespace, func() bool { return len(c.annotatedServices(namespace)) == 0 })
	}
	return annotated, nil
}

// findLeftovers finds, once after the start, pods whose Services went away
// while no controller ran. Services and Leases are watched anyway.
func (c *Controller) findLeftovers(ctx context.Context) {
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: time.Minute}
	err := backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		for namespace := range c.services {
			err := c.markedPods(ctx, namespace, func(pod *corev1.Pod) {
				if observation.OldestSelecting(c.annotatedServices(pod.Namespace), pod) == nil {
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

// markedPods calls visit for the pods that the controller has labelled, some of
// them twice.
func (c *Controller) markedPods(ctx context.Context, namespace string, visit func(*corev1.Pod)) error {
	pods := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.client.CoreV1().Pods(namespace).List(ctx, options)
	})
	for _, label := range []string{api.LabelPodUID, api.LabelDesignation} {
		err := pods.EachListItem(ctx, metav1.ListOptions{LabelSelector: label}, func(o runtime.Object) error {
			if pod := o.(*corev1.Pod); routing.MarkedPod(pod) {
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
