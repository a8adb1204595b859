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
			m := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{test.service}, Slices: test.slices}).Members[0]
			if got := m.HasSlices(); got != test.has {
				t.Errorf("has slices, or must have: %v, want %v", got, test.has)
			}
			if got := m.Migrating(); got != test.migrating {
				t.Errorf("migrating: %v, want %v", got, test.migrating)
			}
		})
	}
}
