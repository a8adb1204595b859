package observation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestMigrating(t *testing.T) {
	own := slice("a-master-ipv4", "a", api.SliceManagedBy, ready("web-0"))
	bySlice := asking(api.AnnotationRouting, "endpointslice")
	detached := selecting(api.LabelRouting, "endpointslice")
	selectorless := func(s *corev1.Service) {
		s.Spec.Selector = nil
		s.Annotations[api.AnnotationSelector] = "app=web"
	}
	tests := map[string]struct {
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		// has: it has slices of its own, or must have.
		has, migrating bool
	}{
		"by selector, at rest":                               {service: service("a")},
		"by selector, the Service is still detached":         {service: service("a", detached), migrating: true},
		"by selector, there still are own slices":            {service: service("a"), slices: []*discoveryv1.EndpointSlice{own}, has: true, migrating: true},
		"by EndpointSlice, at rest":                          {service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{own}, has: true},
		"by EndpointSlice, Kubernetes publishes the Service": {service: service("a", bySlice), slices: []*discoveryv1.EndpointSlice{own}, has: true, migrating: true},
		"by EndpointSlice, there are no slices":              {service: service("a", bySlice, detached), has: true, migrating: true},
		"by EndpointSlice, a slice still waits for Kubernetes": {
			service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{own, transitional(slice("a-master-ipv6", "a", api.SliceManagedBy))}, has: true, migrating: true,
		},
		"without a selector, at rest":             {service: service("a", selectorless), slices: []*discoveryv1.EndpointSlice{own}, has: true},
		"without a selector, there are no slices": {service: service("a", selectorless), has: true, migrating: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := Look(Inputs{Key: web, Now: now, DefaultRouting: api.RoutingSelector, Services: []*corev1.Service{test.service}, Slices: test.slices}).Members[0]
			if got := m.HasSlices(); got != test.has {
				t.Errorf("has slices, or must have: %v, want %v", got, test.has)
			}
			if got := m.Migrating(); got != test.migrating {
				t.Errorf("migrating: %v, want %v", got, test.migrating)
			}
		})
	}
}

func TestDefaultRouting(t *testing.T) {
	const selector, slice, label = api.RoutingSelector, api.RoutingEndpointSlice, api.RoutingLabel
	marked := asking(api.AnnotationLeaseTransitions, "3")
	held, closed := selecting(api.LabelPodUID, "uid-web-0"), selecting(api.LabelPodUID, "none")
	detached := selecting(api.LabelRouting, "endpointslice")
	tests := map[string]struct {
		service *corev1.Service
		// The routing where the default is by selector, by EndpointSlice, and not known.
		bySelector, bySlice, unknown api.Routing
	}{
		"a new Service": {service("a"), selector, slice, selector},
		"a new Service that was closed at its birth": {service("a", closed), selector, slice, selector},
		"it was routed by selector":                  {service("a", held, marked), selector, selector, selector},
		"its selector was overwritten":               {service("a", marked), selector, slice, selector},
		"it was routed by EndpointSlice":             {service("a", detached, marked), selector, slice, slice},
		"it migrates":                                {service("a", detached, held, marked), selector, selector, slice},
		"it asks for the selector":                   {service("a", asking(api.AnnotationRouting, "selector")), selector, selector, selector},
		"it asks for EndpointSlices":                 {service("a", asking(api.AnnotationRouting, "endpointslice")), slice, slice, slice},
		"it asks for the label":                      {service("a", selecting(api.LabelDesignation, api.DesignationActive)), label, label, label},
		"it has no selector of its own": {service("a", func(s *corev1.Service) {
			s.Spec.Selector, s.Annotations[api.AnnotationSelector] = nil, "app=web"
		}), slice, slice, slice},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for byDefault, want := range map[api.Routing]api.Routing{selector: test.bySelector, slice: test.bySlice, "": test.unknown} {
				o := Look(Inputs{Key: web, Now: now, DefaultRouting: byDefault, Services: []*corev1.Service{test.service}})
				if got := o.Members[0].Settings.Routing; got != want {
					t.Errorf("with default %q: %q, want %q", byDefault, got, want)
				}
			}
		})
	}
}
