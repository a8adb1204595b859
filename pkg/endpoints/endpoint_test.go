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
		"without a pod":                                    {service(), nil},
		"of a pod that has succeeded":                      {service(), pod(inPhase(corev1.PodSucceeded))},
		"of a pod that has failed":                         {service(), pod(inPhase(corev1.PodFailed))},
		"of a pod without an address":                      {service(), pod(withIPs())},
		"not even if addresses that are not ready count":   {service(publishNotReady), pod(inPhase(corev1.PodFailed))},
		"of a pod without an address of the family":        {service(ofFamilies(corev1.IPv6Protocol)), pod()},
		"without a pod, of a Service with two families":    {service(ofFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol)), nil},
		"without a pod, of a Service that gets hints":      {service(distributed("PreferSameNode")), nil},
		"without a pod, of a headless Service with labels": {service(clusterIP("None"), labelled("team", "blue")), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Slices(test.service, test.pod, "zone-a")
			if len(got) != len(test.service.Spec.IPFamilies) {
				t.Fatalf("%d slices", len(got))
			}
			for _, slice := range got {
				// Empty, not nil: a request then says so.
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
		"a pod that is Ready":                            {service(), pod(), conditions{ready: true, serving: true}},
		"a pod that is not":                              {service(), pod(ready(corev1.ConditionFalse)), conditions{}},
		"a pod of which that is not known":               {service(), pod(ready(corev1.ConditionUnknown)), conditions{}},
		"a pod without the condition":                    {service(), pod(func(p *corev1.Pod) { p.Status.Conditions = nil }), conditions{}},
		"a pod that terminates serves, but is not ready": {service(), pod(terminating), conditions{serving: true, terminating: true}},
		"a pod that terminates and is not Ready":         {service(), pod(terminating, ready(corev1.ConditionFalse)), conditions{terminating: true}},
		"published, every pod is ready":                  {service(publishNotReady), pod(ready(corev1.ConditionFalse)), conditions{ready: true}},
		"published, also one that terminates":            {service(publishNotReady), pod(terminating), conditions{ready: true, serving: true, terminating: true}},
		"the phase alone does not make a pod ready":      {service(), pod(inPhase(corev1.PodPending), ready(corev1.ConditionFalse)), conditions{}},
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
		"node and zone":                                {pod: pod(), zone: "zone-a", node: new("node-1"), zoned: new("zone-a")},
		"a zone that is not known":                     {pod: pod(), node: new("node-1")},
		"a node that is not known":                     {pod: unscheduled},
		"a hostname of the Service's own domain":       {pod: pod(named("db", "web")), node: new("node-1"), hostname: new("db")},
		"a hostname of another Service's domain":       {pod: pod(named("db", "other")), node: new("node-1")},
		"a hostname without a domain":                  {pod: pod(named("db", "")), node: new("node-1")},
		"a domain without a hostname":                  {pod: pod(named("", "web")), node: new("node-1")},
		"a hostname of a Service in another namespace": {pod: elsewhere, node: new("node-1")},
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
		"a number is taken as it is": {
			service: service(with(servicePort("", tcp, number(8080)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("", tcp, 8080)},
		},
		"a name is that of a container's port": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(listening("admin", tcp, 9000), listening("web", tcp, 8080)),
			want: []discoveryv1.EndpointPort{port("http", tcp, 8080)},
		},
		"a name that the pod does not have is left out": {
			service: service(with(servicePort("http", tcp, name("web")), servicePort("other", tcp, number(9000)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("other", tcp, 9000)},
		},
		"and then there may be none": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(),
			want: []discoveryv1.EndpointPort{},
		},
		"a name is that of a port of the same protocol": {
			service: service(with(servicePort("dns", udp, name("dns")))), pod: pod(listening("dns", tcp, 5353), listening("dns", udp, 5354)),
			want: []discoveryv1.EndpointPort{port("dns", udp, 5354)},
		},
		"a name may be a sidecar's": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(initListening("web", 15000, new(corev1.ContainerRestartPolicyAlways))),
			want: []discoveryv1.EndpointPort{port("http", tcp, 15000)},
		},
		"but not that of an init container which ends": {
			service: service(with(servicePort("http", tcp, name("web")))), pod: pod(initListening("web", 15000, nil)),
			want: []discoveryv1.EndpointPort{},
		},
		"several, of all protocols": {
			service: service(with(servicePort("a", tcp, number(1)), servicePort("b", udp, number(1)), servicePort("c", sctp, number(3)))), pod: pod(),
			want: []discoveryv1.EndpointPort{port("a", tcp, 1), port("b", udp, 1), port("c", sctp, 3)},
		},
		"with what is spoken there": {
			service: service(with(speaking("kubernetes.io/h2c", servicePort("grpc", tcp, number(9000))))), pod: pod(),
			want: []discoveryv1.EndpointPort{{Name: new("grpc"), Protocol: new(tcp), Port: new(int32(9000)), AppProtocol: new("kubernetes.io/h2c")}},
		},
		"a headless Service may have none": {
			service: service(clusterIP("None"), with()), pod: pod(),
			want: []discoveryv1.EndpointPort{},
		},
		"a headless Service may have some": {
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

// As those of the real controller are, which the integration tests compare.
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
