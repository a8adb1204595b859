package controller

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// lookAtCaches looks at the election as the caches have it.
func (c *Controller) lookAtCaches(ctx context.Context, k key) (*observation.Observation, error) {
	pods, err := c.pods.in(ctx, k.Namespace)
	if err != nil {
		return nil, fmt.Errorf("watching the pods: %w", err)
	}
	lease, _ := c.leases.in(k.Namespace).get(k)
	o := observation.Look(k, lease, c.annotatedServices(k.Namespace), pods.by(cache.NamespaceIndex, k.Namespace))
	c.withProbes(o)
	c.downs.recall(o)
	c.withCachedSlices(o)
	return o, nil
}

// lookAtServer looks at the election as the API server has it now.
func (c *Controller) lookAtServer(ctx context.Context, k key) (*observation.Observation, error) {
	lease, err := c.client.CoordinationV1().Leases(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		lease = nil
	case err != nil:
		return nil, fmt.Errorf("reading the Lease: %w", err)
	}
	pods, services, err := c.listNamespace(ctx, k.Namespace)
	if err != nil {
		return nil, err
	}
	annotated := slices.DeleteFunc(services, func(s *corev1.Service) bool { return !api.Annotated(s) })
	o := observation.Look(k, lease, annotated, pods)
	c.withProbes(o)
	c.downs.recall(o)
	return o, c.withLiveSlices(ctx, o)
}

// listNamespace asks the API server. It lists the pods first, so that a mark on
// one of them was made for a Service that is listed too.
func (c *Controller) listNamespace(ctx context.Context, namespace string) (pods []*corev1.Pod, services []*corev1.Service, err error) {
	podList, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the pods: %w", err)
	}
	serviceList, err := c.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the Services: %w", err)
	}
	for i := range podList.Items {
		pods = append(pods, &podList.Items[i])
	}
	for i := range serviceList.Items {
		services = append(services, &serviceList.Items[i])
	}
	return pods, services, nil
}
