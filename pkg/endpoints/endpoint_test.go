package endpoints

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestNoEndpoint(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		pod     *corev1.Pod
	}{
		"there is no pod":        {service(), nil},
		"the pod has succeeded":  {service(), pod(inPhase(corev1.PodSucceeded))},
		"the pod has failed":     {service(), pod(inPhase(corev1.PodFailed))},
		"the pod has no address": {service(), pod(withIPs())},
		"the pod has failed, and the Service publishes not ready pods": {service(publishNotReady), pod(inPhase(corev1.PodFailed))},
		"the pod has no address of the family":                         {service(ofFamilies(corev1.IPv6Protocol)), pod()},
		"there is no pod, and the Service has two families":            {service(ofFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol)), nil},
		"there is no pod, and the Service would get hints":             {service(distributed("PreferSameNode")), nil},
		"there is no pod, and the Service is headless with labels":     {service(clusterIP("None"), labelled("team", "blue")), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(test.service, test.pod, "zone-a")
			if len(got) != len(test.service.Spec.IPFamilies) {
				t.Fatalf("%d slices", len(got))
			}
			for _, slice := range got {
				// Empty, not nil: a request then has an empty list.
				if slice.Endpoints == nil || len(slice.Endpoints) > 0 {
					t.Errorf("%s endpoints: %v", slice.AddressType, slice.Endpoints)
				}
				if slice.Ports == nil || len(slice.Ports) > 0 {
					t.Errorf("%s ports: %v", slice.AddressType, slice.Ports)
				}
				if got := slice.Labels["kubernetes.io/service-name"]; got != "web" {
					t.Errorf("the slice is one of Service %q", got)
				}
			}
		})
	}
}

func TestConditions(t *testing.T) {
	type conditions struct{ ready, serving, terminating bool }
	tests := map[string]struct {
		service *corev1.Service
		pod     *corev1.Pod
		want    conditions
	}{
		"a pod that is Ready is ready and serving":                  {service(), pod(), conditions{ready: true, serving: true}},
		"a pod that is not Ready has no true condition":             {service(), pod(ready(corev1.ConditionFalse)), conditions{}},
		"a pod whose Ready is Unknown has no true condition":        {service(), pod(ready(corev1.ConditionUnknown)), conditions{}},
		"a pod without Ready has no true condition":                 {service(), pod(func(p *corev1.Pod) { p.Status.Conditions = nil }), conditions{}},
		"a pod that terminates is serving, but is not ready":        {service(), pod(terminating), conditions{serving: true, terminating: true}},
		"a pod that terminates and is not Ready is not serving":     {service(), pod(terminating, ready(corev1.ConditionFalse)), conditions{terminating: true}},
		"a pod that is published although not Ready is ready":       {service(publishNotReady), pod(ready(corev1.ConditionFalse)), conditions{ready: true}},
		"a pod that is published although it terminates is ready":   {service(publishNotReady), pod(terminating), conditions{ready: true, serving: true, terminating: true}},
		"a pod that is Pending and not Ready has no true condition": {service(), pod(inPhase(corev1.PodPending), ready(corev1.ConditionFalse)), conditions{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(test.service, test.pod, "")[0].Endpoints[0].Conditions
			want := discoveryv1.EndpointConditions{Ready: &test.want.ready, Serving: &test.want.serving, Terminating: &test.want.terminating}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	unscheduled := pod(func(p *corev1.Pod) { p.Spec.NodeName = "" })
	elsewhere := pod(named("web-0", "web"), func(p *corev1.Pod) { p.Namespace = "other" })
	tests := map[string]struct {
		pod                   *corev1.Pod
		zone                  string
		node, zoned, hostname *string
	}{
		"the pod has a node and a zone":                     {pod: pod(), zone: "zone-a", node: new("node-1"), zoned: new("zone-a")},
		"the zone is not known":                             {pod: pod(), node: new("node-1")},
		"the pod has no node":                               {pod: unscheduled},
		"the hostname is of the Service's own domain":       {pod: pod(named("db", "web")), node: new("node-1"), hostname: new("db")},
		"the hostname is of another Service's domain":       {pod: pod(named("db", "other")), node: new("node-1")},
		"the pod has a hostname without a domain":           {pod: pod(named("db", "")), node: new("node-1")},
		"the pod has a domain without a hostname":           {pod: pod(named("", "web")), node: new("node-1")},
		"the hostname is of a Service in another namespace": {pod: elsewhere, node: new("node-1")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(service(), test.pod, test.zone)[0].Endpoints[0]
			want := []*string{test.node, test.zoned, test.hostname}
			if diff := cmp.Diff(want, []*string{got.NodeName, got.Zone, got.Hostname}); diff != "" {
				t.Errorf("node, zone and hostname (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPorts(t *testing.T) {
	const (
		tcp  = corev1.ProtocolTCP
		udp  = corev1.ProtocolUDP
		sctp = corev1.ProtocolSCTP
	)
	number, name := intstr.FromInt32, intstr.FromString
	port := func(name string, protocol corev1.Protocol, number int32) discoveryv1.EndpointPort {
		return discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: &number}
	}
	speaking := func(appProtocol string, p corev1.ServicePort) corev1.ServicePort {
		p.AppProtocol = &appProtocol
		return p
	}
	tests := map[string]struct {
		service *corev1.Service
		pod     *corev1.Pod
		want    []discoveryv1.EndpointPort
	}{
		"the target port is a number": {
			service: service(with(servicePort("", tcp, number(8080)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("", tcp, 8080)},
		},
		"the target port is the name of a container's port": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(listening("admin", tcp, 9000), listening("web", tcp, 8080)),
			want: []discoveryv1.EndpointPort{port("http", tcp, 8080)},
		},
		"a port whose name the pod does not have is left out": {
			service: service(with(servicePort("http", tcp, name("web")), servicePort("other", tcp, number(9000)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("other", tcp, 9000)},
		},
		"the only port has a name that the pod does not have": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(),
			want: []discoveryv1.EndpointPort{},
		},
		"the name must be of a port of the same protocol": {
			service: service(with(servicePort("dns", udp, name("dns")))), pod: pod(listening("dns", tcp, 5353), listening("dns", udp, 5354)),
			want: []discoveryv1.EndpointPort{port("dns", udp, 5354)},
		},
		"the name may be of a sidecar's port": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(initListening("web", 15000, new(corev1.ContainerRestartPolicyAlways))),
			want: []discoveryv1.EndpointPort{port("http", tcp, 15000)},
		},
		"the name must not be of the port of an init container that ends": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(initListening("web", 15000, nil)),
			want: []discoveryv1.EndpointPort{},
		},
		"a Service may have several ports, of all protocols": {
			service: service(with(servicePort("a", tcp, number(1)), servicePort("b", udp, number(1)), servicePort("c", sctp, number(3)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("a", tcp, 1), port("b", udp, 1), port("c", sctp, 3)},
		},
		"the port has an appProtocol": {
			service: service(with(speaking("kubernetes.io/h2c", servicePort("grpc", tcp, number(9000))))), pod: pod(),
			want: []discoveryv1.EndpointPort{{Name: new("grpc"), Protocol: new(tcp), Port: new(int32(9000)), AppProtocol: new("kubernetes.io/h2c")}},
		},
		"a headless Service may have no port": {
			service: service(clusterIP("None"), with()), pod: pod(),
			want: []discoveryv1.EndpointPort{},
		},
		"a headless Service may have a port": {
			service: service(clusterIP("None"), with(servicePort("", tcp, number(8080)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("", tcp, 8080)},
		},
	}
	byName := cmpopts.SortSlices(func(a, b discoveryv1.EndpointPort) bool { return *a.Name < *b.Name })
	for testName, test := range tests {
		t.Run(testName, func(t *testing.T) {
			got := Slices(test.service, test.pod, "")[0]
			if diff := cmp.Diff(test.want, got.Ports, byName); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			if len(got.Endpoints) != 1 {
				t.Errorf("%d endpoints", len(got.Endpoints))
			}
		})
	}
}

// The order of ports does not depend on the Service's. The integration tests compare it
// with the order of the real controller.
func TestPortsAreInOneOrder(t *testing.T) {
	var ports []corev1.ServicePort
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		ports = append(ports, servicePort(name, corev1.ProtocolTCP, intstr.FromInt32(8080)))
	}
	want := Slices(service(with(ports...)), pod(), "")[0].Ports
	slices.Reverse(ports)
	if diff := cmp.Diff(want, Slices(service(with(ports...)), pod(), "")[0].Ports); diff != "" {
		t.Errorf("the order depends on the Service's (-want +got):\n%s", diff)
	}
}
