package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// builtIn is the value of the label managed-by of the EndpointSlices that
// Kubernetes' own controller makes of a Service's selector.
const builtIn = "endpointslice-controller.k8s.io"

// notBuiltIn selects the EndpointSlices that are watched: the controller's own, and
// those of others that are not Kubernetes'.
var notBuiltIn = discoveryv1.LabelManagedBy + "!=" + builtIn

// byService is the index of EndpointSlices by their Service.
const byService = "service"

var sliceIndexers = cache.TypedIndexersToIndexers(cache.TypedIndexers[*discoveryv1.EndpointSlice]{
	byService: func(s *discoveryv1.EndpointSlice) ([]string, error) { return []string{serviceOf(s).String()}, nil },
	byNamespace: func(s *discoveryv1.EndpointSlice) ([]string, error) {
		if !own(s) {
			return nil, nil
		}
		return []string{s.Namespace}, nil
	},
})

func serviceOf(s *discoveryv1.EndpointSlice) key {
	return key{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

func own(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelManagedBy] == api.SliceManagedBy
}

// sliceHandler looks at the election whose Service the EndpointSlice is of, and at
// what is left of own ones that are of none.
func (c *Controller) sliceHandler() cache.TypedResourceEventHandler[*discoveryv1.EndpointSlice] {
	enqueue := func(s *discoveryv1.EndpointSlice) {
		service, found := c.services.in(s.Namespace).get(serviceOf(s))
		if found && api.Annotated(service) {
			c.queue.Add(leaseKey(service))
		} else if own(s) {
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

// hasSlices says whether the member has, or is to have, slices of its own.
func hasSlices(m routing.Member) bool {
	return m.Settings.Routing == api.RoutingEndpointSlice || len(m.Slices) > 0
}

// withCachedSlices adds to the members what is cached of their EndpointSlices.
func (c *Controller) withCachedSlices(o *observation) {
	o.withSlices(func(service key) []*discoveryv1.EndpointSlice {
		return c.slices.in(service.Namespace).by(byService, service.String())
	})
	for _, m := range o.members {
		if !hasSlices(m) {
			continue
		}
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			name := routing.SliceName(m.Name, family)
			if s, found := c.slices.in(m.Namespace).get(key{Namespace: m.Namespace, Name: name}); found && !own(s) {
				o.serviceProblem(m.Service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
					"the EndpointSlice %s is managed by %s, but the controller needs this name to route to the master; delete it", name, managerOf(s)))
			}
		}
	}
}

// withLiveSlices adds what the API server has of them, if they matter.
func (c *Controller) withLiveSlices(ctx context.Context, o *observation) error {
	c.withCachedSlices(o)
	if !slices.ContainsFunc(o.members, hasSlices) {
		return nil
	}
	list, err := c.client.DiscoveryV1().EndpointSlices(o.key.Namespace).List(ctx, metav1.ListOptions{LabelSelector: notBuiltIn})
	if err != nil {
		return fmt.Errorf("listing the EndpointSlices: %w", err)
	}
	o.withSlices(func(service key) (of []*discoveryv1.EndpointSlice) {
		for i := range list.Items {
			if serviceOf(&list.Items[i]) == service {
				of = append(of, &list.Items[i])
			}
		}
		return of
	})
	return nil
}

// withSlices adds the members' EndpointSlices, and reports those that are somebody
// else's.
func (o *observation) withSlices(of func(service key) []*discoveryv1.EndpointSlice) {
	for i := range o.members {
		m := &o.members[i]
		m.Slices = nil
		for _, s := range of(key{Namespace: m.Namespace, Name: m.Name}) {
			if own(s) {
				m.Slices = append(m.Slices, s)
			} else {
				o.foreignSlice(m.Service, s)
			}
		}
	}
}

func (o *observation) foreignSlice(service *corev1.Service, s *discoveryv1.EndpointSlice) {
	o.serviceProblem(service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
		"the EndpointSlice %s of this Service is managed by %s, not by the controller; what it lists gets traffic beside the master. Delete it if it should not",
		s.Name, managerOf(s)))
}

func managerOf(s *discoveryv1.EndpointSlice) string {
	if manager := s.Labels[discoveryv1.LabelManagedBy]; manager != "" {
		return strconv.Quote(manager)
	}
	return "nobody that it names"
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
