package guard

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// recorder is a test that records its errors and does not fail.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// of returns a slice of the Service web with these endpoints.
func of(name string, family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: family, Endpoints: endpoints,
	}
}

// managed labels the slice with the controller that writes it.
func managed(by string, s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Labels[discoveryv1.LabelManagedBy] = by
	return s
}

func pod(name string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		TargetRef:  &corev1.ObjectReference{Name: name, UID: types.UID(name + "'s UID")},
	}
}

func notReady(e discoveryv1.Endpoint) discoveryv1.Endpoint {
	e.Conditions.Ready = new(false)
	return e
}

func silent(e discoveryv1.Endpoint) discoveryv1.Endpoint {
	e.Conditions.Ready = nil
	return e
}

func address(ip string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}
}

func TestSeeSlice(t *testing.T) {
	const builtIn, ours = "endpointslice-controller.k8s.io", "qoqo.dev"
	type event struct {
		slice   *discoveryv1.EndpointSlice
		deleted bool
	}
	type events []event
	both := "two pods of Service web were ready at once: [web-0 web-0's UID web-1 web-1's UID]"
	again := pod("web-0")
	again.TargetRef.UID = "another UID"
	another := of("b", discoveryv1.AddressTypeIPv4, pod("web-1"))
	another.Labels[discoveryv1.LabelServiceName] = "db"
	unowned := of("b", discoveryv1.AddressTypeIPv4, pod("web-1"))
	unowned.Labels = nil
	for name, test := range map[string]struct {
		events events
		opened string
		want   []string
	}{
		"a slice may list one pod after the other": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-1"))}},
		},
		"a slice must not list two ready pods": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), pod("web-1"))}},
			want:   []string{both},
		},
		"a pod that is not ready does not count": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), notReady(pod("web-1")))}},
		},
		"an endpoint with an unset condition counts as ready": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), silent(pod("web-1")))}},
			want:   []string{both},
		},
		"the slices of two managers may list the same pod, as when the routing changes": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
		},
		"the slices of two managers must not list different pods": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
			want: []string{both},
		},
		"a slice that is deleted no longer counts": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))), deleted: true},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
		},
		"two incarnations of one name are two pods": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), again)}},
			want:   []string{"two pods of Service web were ready at once: [web-0 another UID web-0 web-0's UID]"},
		},
		"the two address families of a Service may change at different times": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: of("b", discoveryv1.AddressTypeIPv6, pod("web-1"))}},
		},
		"two Services may have different pods":       {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: another}}},
		"a slice of no Service does not count":       {events: events{{slice: unowned}, {slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}}},
		"a slice of no Service may list two pods":    {events: events{{slice: &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{pod("web-0"), pod("web-1")}}}}},
		"a Service that is opened may have two pods": {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), pod("web-1"))}}, opened: "web"},
		"an address without a pod may be ready":      {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, address("10.0.0.1"))}}},
		"two addresses without a pod must not both be ready": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, address("10.0.0.1"))}, {slice: of("b", discoveryv1.AddressTypeIPv4, address("10.0.0.2"))}},
			want:   []string{"two pods of Service web were ready at once: [[10.0.0.1] [10.0.0.2]]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{TB: t}
			g := newGuard(r)
			if test.opened != "" {
				g.Opened(test.opened)
			}
			for _, e := range test.events {
				g.seeSlice(e.slice, e.deleted)
			}
			if diff := cmp.Diff(test.want, r.errors); diff != "" {
				t.Error("errors (-want +got)", diff)
			}
		})
	}
}
