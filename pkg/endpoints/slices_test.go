package endpoints

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// This test compares whole slices. The other tests compare parts of them.
func TestSlices(t *testing.T) {
	slice := func(family discoveryv1.AddressType, address string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default",
				Labels:    map[string]string{"kubernetes.io/service-name": "web"},
			},
			AddressType: family,
			Endpoints: []discoveryv1.Endpoint{{
				Addresses:  []string{address},
				Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
				TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "web-0", UID: "uid-web-0"},
				NodeName:   new("node-1"),
				Zone:       new("zone-a"),
			}},
			Ports: []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
		}
	}
	service := service(ofFamilies(corev1.IPv6Protocol, corev1.IPv4Protocol))
	pod := pod(withIPs("10.0.0.1", "fd00::1"))
	serviceBefore, podBefore := service.DeepCopy(), pod.DeepCopy()

	want := []*discoveryv1.EndpointSlice{slice("IPv6", "fd00::1"), slice("IPv4", "10.0.0.1")}
	if diff := cmp.Diff(want, Slices(service, pod, "zone-a")); diff != "" {
		t.Errorf("slices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(serviceBefore, service) + cmp.Diff(podBefore, pod); diff != "" {
		t.Errorf("Service or pod, of an informer's cache, were changed (-before +after):\n%s", diff)
	}
}

func TestFamilies(t *testing.T) {
	// addresses are the addresses of the endpoints in each slice.
	type addresses map[discoveryv1.AddressType][]string
	unset := ofFamilies()
	tests := map[string]struct {
		service *corev1.Service
		pod     *corev1.Pod
		order   []discoveryv1.AddressType
		want    addresses
	}{
		"one family has one slice": {
			service: service(), pod: pod(),
			order: []discoveryv1.AddressType{"IPv4"},
			want:  addresses{"IPv4": {"10.0.0.1"}},
		},
		"a slice has the pod's addresses of its family alone": {
			service: service(ofFamilies(corev1.IPv6Protocol)), pod: pod(withIPs("10.0.0.1", "fd00::1")),
			order: []discoveryv1.AddressType{"IPv6"},
			want:  addresses{"IPv6": {"fd00::1"}},
		},
		"two families have two slices, in the Service's order": {
			service: service(ofFamilies(corev1.IPv6Protocol, corev1.IPv4Protocol)), pod: pod(withIPs("10.0.0.1", "fd00::1")),
			order: []discoveryv1.AddressType{"IPv6", "IPv4"},
			want:  addresses{"IPv4": {"10.0.0.1"}, "IPv6": {"fd00::1"}},
		},
		"a family in which the pod has no address has a slice without endpoints": {
			service: service(ofFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol)), pod: pod(),
			order: []discoveryv1.AddressType{"IPv4", "IPv6"},
			want:  addresses{"IPv4": {"10.0.0.1"}, "IPv6": nil},
		},
		"an address is written in its usual form": {
			service: service(ofFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol)), pod: pod(withIPs("010.0.0.01", "FD00:0::0:1")),
			order: []discoveryv1.AddressType{"IPv4", "IPv6"},
			want:  addresses{"IPv4": {"10.0.0.1"}, "IPv6": {"fd00::1"}},
		},
		"families that are unset follow from the cluster IP": {
			service: service(unset), pod: pod(withIPs("10.0.0.1", "fd00::1")),
			order: []discoveryv1.AddressType{"IPv4"},
			want:  addresses{"IPv4": {"10.0.0.1"}},
		},
		"families that are unset follow from a cluster IP of version 6": {
			service: service(unset, clusterIP("fd00:96::1")), pod: pod(withIPs("10.0.0.1", "fd00::1")),
			order: []discoveryv1.AddressType{"IPv6"},
			want:  addresses{"IPv6": {"fd00::1"}},
		},
		"families that are unset are both if the Service is headless": {
			service: service(unset, clusterIP("None")), pod: pod(),
			order: []discoveryv1.AddressType{"IPv4", "IPv6"},
			want:  addresses{"IPv4": {"10.0.0.1"}, "IPv6": nil},
		},
		"families that are unset are both if there is no cluster IP yet": {
			service: service(unset, clusterIP("")), pod: pod(),
			order: []discoveryv1.AddressType{"IPv4", "IPv6"},
			want:  addresses{"IPv4": {"10.0.0.1"}, "IPv6": nil},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var order []discoveryv1.AddressType
			got := addresses{}
			for _, slice := range Slices(test.service, test.pod, "") {
				order = append(order, slice.AddressType)
				got[slice.AddressType] = nil
				for _, e := range slice.Endpoints {
					got[slice.AddressType] = append(got[slice.AddressType], e.Addresses...)
				}
			}
			if diff := cmp.Diff(test.order, order); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    map[string]string
	}{
		"a slice has the Service's name": {
			service: service(),
			want:    map[string]string{"kubernetes.io/service-name": "web"},
		},
		"a slice has the Service's own labels": {
			service: service(labelled("team", "blue"), labelled("empty", "")),
			want:    map[string]string{"kubernetes.io/service-name": "web", "team": "blue", "empty": ""},
		},
		"a slice of a headless Service has the mark of one": {
			service: service(clusterIP("None")),
			want:    map[string]string{"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""},
		},
		"a slice of a Service without a cluster IP has the mark of a headless one": {
			service: service(clusterIP("")),
			want:    map[string]string{"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""},
		},
		"a slice has no reserved label of the Service": {
			service: service(
				labelled("kubernetes.io/service-name", "other"), labelled("service.kubernetes.io/headless", ""),
				labelled("endpointslice.kubernetes.io/managed-by", "me"), labelled("team", "blue")),
			want: map[string]string{"kubernetes.io/service-name": "web", "team": "blue"},
		},
		"a slice has no other value of the headless mark": {
			service: service(clusterIP("None"), labelled("service.kubernetes.io/headless", "no")),
			want:    map[string]string{"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(test.service, pod(), "")[0].Labels
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// A caller may add labels to one slice: no other slice, and not the Service, gets them.
func TestLabelsAreOfOneSlice(t *testing.T) {
	service := service(labelled("team", "blue"), ofFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol))
	slices := Slices(service, pod(), "")
	slices[0].Labels["key"] = "value"
	if _, found := slices[1].Labels["key"]; found {
		t.Error("two slices share their labels")
	}
	if _, found := service.Labels["key"]; found {
		t.Error("slice and Service share their labels")
	}
}

func TestHints(t *testing.T) {
	zone := &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "zone-a"}}}
	both := &discoveryv1.EndpointHints{ForZones: zone.ForZones, ForNodes: []discoveryv1.ForNode{{Name: "node-1"}}}
	unready := pod(ready(corev1.ConditionFalse))
	unscheduled := pod(func(p *corev1.Pod) { p.Spec.NodeName = "" })
	tests := map[string]struct {
		service *corev1.Service
		pod     *corev1.Pod
		zone    string
		want    *discoveryv1.EndpointHints
	}{
		"there are no hints by default":                                                          {service(), pod(), "zone-a", nil},
		"PreferClose names the zone":                                                             {service(distributed("PreferClose")), pod(), "zone-a", zone},
		"PreferSameZone names the zone":                                                          {service(distributed("PreferSameZone")), pod(), "zone-a", zone},
		"PreferSameNode names zone and node":                                                     {service(distributed("PreferSameNode")), pod(), "zone-a", both},
		"an unknown distribution has no hints":                                                   {service(distributed("PreferFar")), pod(), "zone-a", nil},
		"PreferSameZone names no zone that is not known":                                         {service(distributed("PreferSameZone")), pod(), "", nil},
		"PreferSameNode names the node alone if the zone is not known":                           {service(distributed("PreferSameNode")), pod(), "", &discoveryv1.EndpointHints{ForNodes: both.ForNodes}},
		"PreferSameNode names the zone alone if the pod has no node":                             {service(distributed("PreferSameNode")), unscheduled, "zone-a", zone},
		"a pod that is not ready has no hints":                                                   {service(distributed("PreferSameZone")), unready, "zone-a", nil},
		"a pod that is published as ready has hints":                                             {service(distributed("PreferSameZone"), publishNotReady), unready, "zone-a", zone},
		"topology mode Auto has no hints with one endpoint":                                      {service(annotated("service.kubernetes.io/topology-mode", "Auto")), pod(), "zone-a", nil},
		"topology mode Auto comes before a distribution":                                         {service(distributed("PreferSameZone"), annotated("service.kubernetes.io/topology-mode", "Auto")), pod(), "zone-a", nil},
		"topology mode auto in lower case comes before a distribution":                           {service(distributed("PreferSameZone"), annotated("service.kubernetes.io/topology-mode", "auto")), pod(), "zone-a", nil},
		"another topology mode leaves the hints of the distribution":                             {service(distributed("PreferSameZone"), annotated("service.kubernetes.io/topology-mode", "Disabled")), pod(), "zone-a", zone},
		"the older name of the topology mode comes before a distribution":                        {service(distributed("PreferSameZone"), annotated("service.kubernetes.io/topology-aware-hints", "auto")), pod(), "zone-a", nil},
		"the older name of the topology mode comes before the newer one, even if it is Disabled": {service(distributed("PreferSameZone"), annotated("service.kubernetes.io/topology-aware-hints", "Disabled"), annotated("service.kubernetes.io/topology-mode", "Auto")), pod(), "zone-a", zone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(test.service, test.pod, test.zone)[0].Endpoints[0].Hints
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("hints (-want +got):\n%s", diff)
			}
		})
	}
}
