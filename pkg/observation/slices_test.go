package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// slice is of the Service, and names its manager if there is one.
func slice(name, service, manager string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}, Annotations: map[string]string{}},
		Endpoints:  endpoints,
	}
	if manager != "" {
		s.Labels[discoveryv1.LabelManagedBy] = manager
	}
	return s
}

// endpoint is the pod's; isReady may be nil.
func endpoint(pod string, isReady *bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod, UID: types.UID("uid-" + pod)}, Conditions: discoveryv1.EndpointConditions{Ready: isReady},
	}
}

func ready(pod string) discoveryv1.Endpoint { return endpoint(pod, ptr.To(true)) }

func notReady(pod string) discoveryv1.Endpoint { return endpoint(pod, ptr.To(false)) }

func transitional(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Annotations[api.AnnotationRouting] = "selector"
	return s
}

func TestListed(t *testing.T) {
	withoutPod := ready("web-0")
	withoutPod.TargetRef = nil
	tests := map[string]struct {
		slices []*discoveryv1.EndpointSlice
		want   map[types.UID]bool
	}{
		"there are no slices": {nil, map[types.UID]bool{}},
		"one pod is ready, and one is not": {
			[]*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-0"), notReady("web-1"))},
			map[types.UID]bool{"uid-web-0": true, "uid-web-1": false},
		},
		"a pod of which the slice says nothing is ready": {
			[]*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, endpoint("web-0", nil))},
			map[types.UID]bool{"uid-web-0": true},
		},
		"a pod that is ready in the first slice is ready": {
			[]*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-0")), slice("a-2", "a", BuiltIn, notReady("web-0"))},
			map[types.UID]bool{"uid-web-0": true},
		},
		"a pod that is ready in the second slice is ready": {
			[]*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, notReady("web-0")), slice("a-2", "a", BuiltIn, ready("web-0"))},
			map[types.UID]bool{"uid-web-0": true},
		},
		"an endpoint that is no pod is not listed": {
			[]*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, withoutPod)},
			map[types.UID]bool{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Listed(test.slices)); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlices(t *testing.T) {
	const own = api.SliceManagedBy
	foreign := func(slice, manager string) api.Problem {
		return api.Problem{Reason: "ForeignEndpointSlice", Message: "the EndpointSlice " + slice + " of this Service is not the controller's (" + manager +
			"); the endpoints that it lists get traffic beside the master. Delete it if they should not"}
	}
	taken := func(slice, manager string) api.Problem {
		return api.Problem{Reason: "ForeignEndpointSlice", Message: "the EndpointSlice " + slice + " is not the controller's (" + manager +
			"), and has a name that the controller needs to route to the master; delete it"}
	}
	bySlice := asking(api.AnnotationRouting, "endpointslice")
	detached := selecting(api.LabelRouting, "endpointslice")
	selectorless := func(s *corev1.Service) {
		s.Spec.Selector = nil
		s.Annotations[api.AnnotationSelector] = "app=web"
	}
	elsewhere := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		s.Namespace = "other"
		return s
	}
	type seen struct {
		Own      []string
		Listed   map[types.UID]bool
		Problems []api.Problem
	}
	none := map[types.UID]bool{}
	tests := map[string]struct {
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		want    seen
	}{
		"a Service without slices": {service: service("a")},
		"slices of another Service do not matter": {
			service: service("a"),
			slices:  []*discoveryv1.EndpointSlice{slice("b-master-ipv4", "b", own, ready("web-0")), slice("b-1", "b", BuiltIn, ready("web-0")), slice("b-mesh", "b", "mesh")},
		},
		"slices of another namespace do not matter": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{elsewhere(slice("a-master-ipv4", "a", own)), elsewhere(slice("a-mesh", "a", "mesh"))},
		},
		"slices of Kubernetes alone are not looked into": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-0"))},
		},
		"a Service at rest with slices of its own": {
			service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{slice("a-master-ipv4", "a", own, ready("web-0")), slice("a-master-ipv6", "a", own, ready("web-0"))},
			want: seen{Own: []string{"a-master-ipv4", "a-master-ipv6"}},
		},
		"a Service on its way to slices": {
			service: service("a", bySlice), slices: []*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-0"), notReady("web-1"))},
			want: seen{Listed: map[types.UID]bool{"uid-web-0": true, "uid-web-1": false}},
		},
		"a Service on its way back": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-0")), slice("a-master-ipv4", "a", own, ready("web-1"))},
			want: seen{Own: []string{"a-master-ipv4"}, Listed: map[types.UID]bool{"uid-web-0": true}},
		},
		"a Service whose slices still wait for Kubernetes": {
			service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{transitional(slice("a-master-ipv4", "a", own, ready("web-0"))), slice("a-1", "a", BuiltIn)},
			want: seen{Own: []string{"a-master-ipv4"}, Listed: none},
		},
		"a slice of another manager": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-mesh", "a", "mesh", ready("web-1"))},
			want: seen{Problems: []api.Problem{foreign("a-mesh", `managed by "mesh"`)}},
		},
		"a slice without a manager": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-mine", "a", "", ready("web-1"))},
			want: seen{Problems: []api.Problem{foreign("a-mine", "it names no manager")}},
		},
		"a slice of this Service that has a name which the Service needs": {
			service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{slice("a-master-ipv4", "a", "mesh")},
			want: seen{Listed: none, Problems: []api.Problem{foreign("a-master-ipv4", `managed by "mesh"`), taken("a-master-ipv4", `managed by "mesh"`)}},
		},
		"a slice of no Service that has a name which the Service needs": {
			service: service("a", bySlice, detached), slices: []*discoveryv1.EndpointSlice{slice("a-master-ipv6", "", "")},
			want: seen{Listed: none, Problems: []api.Problem{taken("a-master-ipv6", "it names no manager")}},
		},
		"a name is taken from a Service on its way back": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-master-ipv4", "a", own), slice("a-master-ipv6", "", "")},
			want: seen{Own: []string{"a-master-ipv4"}, Listed: none, Problems: []api.Problem{taken("a-master-ipv6", "it names no manager")}},
		},
		"a name that the Service does not need": {
			service: service("a"), slices: []*discoveryv1.EndpointSlice{slice("a-master-ipv4", "", ""), slice("b-master-ipv4", "", "")},
		},
		"slices that stay when a selector is removed": {
			service: service("a", selectorless), slices: []*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn, ready("web-1"))},
			want: seen{Listed: map[types.UID]bool{"uid-web-1": true}, Problems: []api.Problem{foreign("a-1", `managed by "endpointslice-controller.k8s.io"`)}},
		},
		"slices that stay, but list no pod": {
			service: service("a", selectorless), slices: []*discoveryv1.EndpointSlice{slice("a-1", "a", BuiltIn)},
			want: seen{Listed: none},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{test.service}, Slices: test.slices})
			got := seen{Listed: o.Members[0].Listed, Problems: o.Problems[test.service.UID]}
			for _, s := range o.Members[0].Slices {
				got.Own = append(got.Own, s.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
		})
	}
}
