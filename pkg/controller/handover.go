package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// errAwaited: the Service goes over from one routing to another, of which nothing
// that is watched tells. It is looked at again soon, and then ever more rarely.
var errAwaited = errors.New("the built-in EndpointSlice controller has yet to follow the Service")

// publisher answers with what Kubernetes' own EndpointSlices are now.
type publisher interface {
	published(ctx context.Context, service *corev1.Service) ([]*discoveryv1.EndpointSlice, error)
}

// withListed adds to the members what Kubernetes' own EndpointSlices list, where it
// matters.
func withListed(ctx context.Context, o *observation.Observation, live publisher) error {
	for i := range o.Members {
		m := &o.Members[i]
		m.Listed = nil
		if !routing.GoingOver(*m) {
			continue
		}
		published, err := live.published(ctx, m.Service)
		if err != nil {
			return err
		}
		m.Listed = routing.Listed(published)
		if m.Settings.Selectorless && len(m.Listed) > 0 {
			// They stay when a selector is removed, and are the user's from then on.
			for _, s := range published {
				o.ForeignSlice(m.Service, s)
			}
		}
	}
	return nil
}

// published are the EndpointSlices of Kubernetes' controller, as the API server has
// them now.
func (c *Controller) published(ctx context.Context, service *corev1.Service) (all []*discoveryv1.EndpointSlice, err error) {
	list, err := c.client.DiscoveryV1().EndpointSlices(service.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: observation.BuiltIn}.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of %s: %w", service.Name, err)
	}
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	return all, nil
}

// releaseSlices deletes the controller's own EndpointSlices of Services that are not
// annotated any more; and returns errAwaited if it keeps some, as Kubernetes'
// controller does not list the Service's pods yet.
func (c *Controller) releaseSlices(ctx context.Context, namespace string, services []*corev1.Service, pods []*corev1.Pod) error {
	var awaited error
	for _, s := range c.slices.in(namespace).by(byNamespace, namespace) {
		i := slices.IndexFunc(services, func(service *corev1.Service) bool { return service.Name == observation.ServiceOf(s).Name })
		if i >= 0 {
			if api.Annotated(services[i]) {
				continue
			}
			needed, err := c.needed(ctx, services[i], pods)
			if err != nil {
				return err
			}
			if needed {
				awaited = errAwaited
				continue
			}
		}
		if _, err := c.sendSlice(ctx, routing.Change{Kind: routing.KindEndpointSlice, Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}); err != nil {
			return err
		}
	}
	return awaited
}

// needed says whether nobody but the controller's own slices would serve a Service
// that has opted out, as Kubernetes' controller has yet to follow.
func (c *Controller) needed(ctx context.Context, service *corev1.Service, pods []*corev1.Pod) (bool, error) {
	own := maps.Clone(service.Spec.Selector)
	for key := range routing.ReleaseService(service).Selector {
		delete(own, key)
	}
	selector := labels.SelectorFromSet(own)
	serves := func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp == nil && observation.Ready(pod) && selector.Matches(labels.Set(pod.Labels))
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || len(own) == 0 || !slices.ContainsFunc(pods, serves) {
		return false, nil
	}
	published, err := c.published(ctx, service)
	if err != nil {
		return false, err
	}
	for _, ready := range routing.Listed(published) {
		if ready {
			return false, nil
		}
	}
	return true, nil
}
