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

// recorder is a test that writes down its errors.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// of makes a slice of the Service web with these endpoints.
func of(name string, family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: family, Endpoints: endpoints,
	}
}

// managed says who writes the slice.
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
	nobodys := of("b", discoveryv1.AddressTypeIPv4, pod("web-1"))
	nobodys.Labels = nil
	for name, test := range map[string]struct {
		events events
		opened string
		want   []string
	}{
		"one pod after the other, in one slice": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-1"))}},
		},
		"two in one slice": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), pod("web-1"))}},
			want:   []string{both},
		},
		"two in one slice, of which one is not ready": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), notReady(pod("web-1")))}},
		},
		"an endpoint that does not say whether it is ready": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), silent(pod("web-1")))}},
			want:   []string{both},
		},
		"the same pod in the slices of two managers, as when the routing changes": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
		},
		"another pod in the slice of another manager": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
			want: []string{both},
		},
		"a slice that is gone, and then another pod in another's": {
			events: events{
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0")))},
				{slice: managed(builtIn, of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))), deleted: true},
				{slice: managed(ours, of("b", discoveryv1.AddressTypeIPv4, pod("web-1")))},
			},
		},
		"another incarnation of the same name": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), again)}},
			want:   []string{"two pods of Service web were ready at once: [web-0 another UID web-0 web-0's UID]"},
		},
		"another family, which follows in its own time": {
			events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: of("b", discoveryv1.AddressTypeIPv6, pod("web-1"))}},
		},
		"another Service's":                  {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}, {slice: another}}},
		"slices of no Service":               {events: events{{slice: nobodys}, {slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"))}}},
		"two of no Service":                  {events: events{{slice: &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{pod("web-0"), pod("web-1")}}}}},
		"a Service that may have any number": {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, pod("web-0"), pod("web-1"))}}, opened: "web"},
		"an address without a pod":           {events: events{{slice: of("a", discoveryv1.AddressTypeIPv4, address("10.0.0.1"))}}},
		"two addresses without a pod": {
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
