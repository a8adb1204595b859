package controller

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// byService is the index of EndpointSlices by their Service.
const byService = "service"

var sliceIndexers = cache.TypedIndexersToIndexers(cache.TypedIndexers[*discoveryv1.EndpointSlice]{
	byService: func(s *discoveryv1.EndpointSlice) ([]string, error) {
		return []string{observation.ServiceOf(s).String()}, nil
	},
	byNamespace: func(s *discoveryv1.EndpointSlice) ([]string, error) {
		if !observation.Own(s) {
			return nil, nil
		}
		return []string{s.Namespace}, nil
	},
})

// sliceHandler looks at the election whose Service the EndpointSlice is of, and at
// what is left of own ones that are of none.
func (c *Controller) sliceHandler() cache.TypedResourceEventHandler[*discoveryv1.EndpointSlice] {
	enqueue := func(s *discoveryv1.EndpointSlice) {
		service, found := c.services.in(s.Namespace).get(observation.ServiceOf(s))
		if found && api.Annotated(service) {
			c.queue.Add(observation.LeaseKey(service))
		} else if observation.Own(s) {
			c.queue.Add(key{Namespace: s.Namespace})
		}
	}
	return cache.TypedResourceEventHandlerFuncs[*discoveryv1.EndpointSlice]{
		AddFunc: enqueue,
		UpdateFunc: func(before, now *discoveryv1.EndpointSlice) {
			enqueue(before)
			enqueue(now)
		},
		DeleteFunc: func(deleted cache.DeletedObject[*discoveryv1.EndpointSlice]) {
			if deleted.OptionalObj != nil {
				enqueue(deleted.OptionalObj)
			}
		},
	}
}

// withCachedSlices adds to the members what is cached of their EndpointSlices.
func (c *Controller) withCachedSlices(o *observation.Observation) {
	o.WithSlices(func(service key) []*discoveryv1.EndpointSlice {
		return c.slices.in(service.Namespace).by(byService, service.String())
	})
	for _, m := range o.Members {
		if !observation.HasSlices(m) {
			continue
		}
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			name := routing.SliceName(m.Name, family)
			if s, found := c.slices.in(m.Namespace).get(key{Namespace: m.Namespace, Name: name}); found && !observation.Own(s) {
				o.ServiceProblem(m.Service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
					"the EndpointSlice %s is managed by %s, but the controller needs this name to route to the master; delete it", name, observation.ManagerOf(s)))
			}
		}
	}
}

// withLiveSlices adds what the API server has of them, if they matter.
func (c *Controller) withLiveSlices(ctx context.Context, o *observation.Observation) error {
	c.withCachedSlices(o)
	if !slices.ContainsFunc(o.Members, observation.HasSlices) {
		return nil
	}
	list, err := c.client.DiscoveryV1().EndpointSlices(o.Key.Namespace).List(ctx, metav1.ListOptions{LabelSelector: observation.NotBuiltIn})
	if err != nil {
		return fmt.Errorf("listing the EndpointSlices: %w", err)
	}
	o.WithSlices(func(service key) (of []*discoveryv1.EndpointSlice) {
		for i := range list.Items {
			if observation.ServiceOf(&list.Items[i]) == service {
				of = append(of, &list.Items[i])
			}
		}
		return of
	})
	return nil
}

// sendSlice writes or deletes an EndpointSlice; one that is gone needs no deletion.
func (c *Controller) sendSlice(ctx context.Context, change routing.Change) (*discoveryv1.EndpointSlice, error) {
	client := c.client.DiscoveryV1().EndpointSlices(change.Namespace)
	var result *discoveryv1.EndpointSlice
	var err error
	switch {
	case change.Slice == nil:
		err = client.Delete(ctx, change.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &change.UID, ResourceVersion: &change.ResourceVersion},
		})
		if apierrors.IsNotFound(err) {
			err = nil
		}
	case change.UID == "":
		result, err = client.Create(ctx, change.Slice, metav1.CreateOptions{FieldManager: api.ManagedBy})
	default:
		result, err = client.Update(ctx, change.Slice, metav1.UpdateOptions{FieldManager: api.ManagedBy})
		if apierrors.IsNotFound(err) {
			// The garbage collector was first, as the pod is gone.
			err = apierrors.NewConflict(discoveryv1.Resource("endpointslices"), change.Name, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writing EndpointSlice %s: %w", change.Name, err)
	}
	if result != nil {
		c.slices.in(change.Namespace).wrote(result)
	}
	return result, nil
}

func trimSlice(s *discoveryv1.EndpointSlice) { s.ManagedFields = nil }
