package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What the controller writes into its own slices. Caches keep no more of a pod
// than is read, so that it is tested here and not in package endpoints alone.

func TestEndpointOfTheMaster(t *testing.T) {
	withPort := func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Name: "sidecar"}, {Name: "web", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}
	}
	withHostname := func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = p.Name, "web" }
	withIPv6 := func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00::1"}) }
	endpoint := func(address string, change ...func(*discoveryv1.Endpoint)) discoveryv1.Endpoint {
		e := discoveryv1.Endpoint{
			Addresses: []string{address},
			Conditions: discoveryv1.EndpointConditions{
				Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false),
			},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: fakeapi.Namespace, Name: "web-0"},
			NodeName:  ptr.To("node"), Zone: ptr.To("zone-a"),
		}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	port := func(number int32) []discoveryv1.EndpointPort {
		return []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: &number, Protocol: ptr.To(corev1.ProtocolTCP)}}
	}
	tests := map[string]struct {
		service   func(*corev1.Service)
		pod       func(*corev1.Pod)
		slice     string
		endpoints []discoveryv1.Endpoint
		ports     []discoveryv1.EndpointPort
	}{
		"with the zone of its node": {
			slice: "web-master-ipv4", endpoints: []discoveryv1.Endpoint{endpoint("10.0.0.10")}, ports: port(80),
		},
		"with the number of a named port": {
			service: func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromString("http") }, pod: withPort,
			slice: "web-master-ipv4", endpoints: []discoveryv1.Endpoint{endpoint("10.0.0.10")}, ports: port(8080),
		},
		"with the hostname of a pod of a StatefulSet": {
			service: func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }, pod: withHostname,
			slice:     "web-master-ipv4",
			endpoints: []discoveryv1.Endpoint{endpoint("10.0.0.10", func(e *discoveryv1.Endpoint) { e.Hostname = ptr.To("web-0") })},
			ports:     port(80),
		},
		"of another address family": {
			service: func(s *corev1.Service) {
				s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
			}, pod: withIPv6,
			slice: "web-master-ipv6", endpoints: []discoveryv1.Endpoint{endpoint("fd00::1")}, ports: port(80),
		},
		"on a node without a zone": {
			pod:   func(p *corev1.Pod) { p.Spec.NodeName = "nowhere" },
			slice: "web-master-ipv4",
			endpoints: []discoveryv1.Endpoint{endpoint("10.0.0.10", func(e *discoveryv1.Endpoint) {
				e.NodeName, e.Zone = ptr.To("nowhere"), nil
			})},
			ports: port(80),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				service, pod := fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0")
				if test.service != nil {
					test.service(service)
				}
				if test.pod != nil {
					test.pod(pod)
				}
				c.Create(fakeapi.NewNode("node", "zone-a"), service, pod)
				s := c.start()
				c.Settle()
				got := c.Slice(test.slice)
				for i := range got.Endpoints {
					got.Endpoints[i].TargetRef.UID = ""
				}
				if diff := cmp.Diff(test.endpoints, got.Endpoints); diff != "" {
					t.Errorf("endpoints (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.ports, got.Ports); diff != "" {
					t.Errorf("ports (-want +got):\n%s", diff)
				}
				// Neither what is cached nor what was just read makes a difference.
				s.client.ClearActions()
				c.EditPod("web-0", func(p *corev1.Pod) { p.Annotations["changed"] = "" })
				c.Settle()
				if writes := s.writes(); len(writes) > 0 {
					t.Errorf("writes: %q", writes)
				}
			})
		})
	}
}

// A cloud's controller may label a node after its pods are Ready. A zone that is corrected
// later does not reach the endpoint, because replicas that hear of that at different times
// would rewrite the slice in turns.
func TestZoneThatIsSetLate(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		zones := []*string{nil, ptr.To("zone-a"), ptr.To("zone-a")}
		for i, label := range []string{"", "zone-a", "zone-b"} {
			if label != "" {
				fakeapi.Edit(c.Cluster, c.Users.CoreV1().Nodes(), "node", func(n *corev1.Node) { n.Labels = map[string]string{corev1.LabelTopologyZone: label} })
			}
			c.Settle()
			if diff := cmp.Diff(zones[i], c.Slice("web-master-ipv4").Endpoints[0].Zone); diff != "" {
				t.Errorf("zone of a node with the label %q (-want +got):\n%s", label, diff)
			}
		}
	})
}

func TestSliceOfAnAddressFamilyThatTheServiceLosesIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c, func(s *corev1.Service) {
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
		})
		if s := c.Slice("web-master-ipv6"); len(s.Endpoints) > 0 {
			t.Errorf("endpoints %v of pods without such an address", s.Endpoints)
		}
		c.EditService("web", func(s *corev1.Service) { s.Spec.IPFamilies = s.Spec.IPFamilies[:1] })
		c.Settle()
		c.Expect(bySlices...)
	})
}
