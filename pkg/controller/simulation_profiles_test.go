package controller

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// profile is what a run is about.
type profile struct {
	name string
	// services are those that there are to begin with, and that users create again.
	services []*corev1.Service
	// weights are those of verbs that matter more here, or less.
	weights     map[string]int
	annotations map[string][]string
	routings    []api.Routing
	// deaf: no event of a pod, Lease, EndpointSlice or node wakes an election.
	deaf bool
	// updated: the second replica runs with another --default-routing and --default-probe than the others.
	updated bool
	// early: no pod is Ready yet.
	early bool
}

// begin makes what there is before the first step.
func (p profile) begin(w *world) {
	w.profile = p
	for _, name := range nodeNames {
		put(w, w.nodes, newSimulatedNode(name))
	}
	for _, s := range p.services {
		put(w, w.services, s.DeepCopy())
	}
	for i, name := range podNames {
		put(w, w.pods, newSimulatedPod(w, name, nodeNames[i%2], tiers[i%2], i > 0 && !p.early))
	}
}

func asks(wanted api.Routing) func(*corev1.Service) {
	return func(s *corev1.Service) { ask(s, wanted) }
}

// named is a Service of the pods' port of that name.
func named(s *corev1.Service) {
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("http")}}
}

func fast(s *corev1.Service) { s.Spec.Selector["tier"] = "fast" }

func dual(s *corev1.Service) {
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
}

var (
	afterTermination = map[string]string{api.AnnotationHandover: api.HandoverAfterTermination}
	stops            = map[string]string{api.AnnotationHandover: api.HandoverAfterTermination, api.AnnotationOnDemote: api.OnDemoteDelete}
	demotes          = map[string]string{api.AnnotationOnDemote: api.OnDemoteDelete}
	fenced           = map[string]string{api.AnnotationLeaseDuration: "15s"}
	shares           = map[string]string{api.AnnotationLeaseName: "a"}
	preferring       = map[string][]string{
		api.AnnotationPaused: {"", "true", "x"}, api.AnnotationPrefer: {"", "tier=fast"}, api.AnnotationFailback: {"", "5m", "0s"},
		api.AnnotationFailoverDelay: {"", "20s"},
	}
)

// unreadable is a value that has no meaning.
const unreadable = "x"

var profiles = []profile{
	{name: "by selector", services: []*corev1.Service{manifest("a", nil, dual)}},
	{name: "by label", services: []*corev1.Service{manifest("a", nil, asks(api.RoutingLabel))}},
	{name: "by EndpointSlice", services: []*corev1.Service{manifest("a", nil, dual, asks(api.RoutingEndpointSlice))}},
	{name: "nobody is eligible yet", services: []*corev1.Service{manifest("a", nil)}, early: true, weights: map[string]int{"lose": 0}},
	{
		name: "two routings", services: []*corev1.Service{manifest("a", nil)}, routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector},
		weights: map[string]int{"route": 5, "hold": 8},
	},
	{
		name: "all routings", services: []*corev1.Service{manifest("a", nil, dual)}, routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector, api.RoutingLabel},
		weights: map[string]int{"route": 5, "hold": 8},
	},
	{name: "after termination", services: []*corev1.Service{manifest("a", afterTermination)}, weights: map[string]int{"believe": 2}},
	{name: "after termination, and deleted", services: []*corev1.Service{manifest("a", stops)}},
	{name: "demoted pods are deleted", services: []*corev1.Service{manifest("a", demotes)}, weights: map[string]int{"believe": 2, "hold": 20, "create": 20, "stop": 10, "time": 2}},
	{name: "a Lease that is renewed", services: []*corev1.Service{manifest("a", fenced)}, weights: map[string]int{"believe": 4, "time": 15}},
	{
		name: "settings that change", services: []*corev1.Service{manifest("a", nil)}, annotations: preferring,
		weights: map[string]int{"annotate": 4, "cordon": 3, "time": 10},
	},
	{
		name: "what readiness probes ask", services: []*corev1.Service{manifest("a", map[string]string{api.AnnotationProbe: string(api.ProbeReadiness)}), manifest("b", shares)}, updated: true,
		annotations: map[string][]string{api.AnnotationProbe: {"", string(api.ProbeReadiness), api.ProbeNone, unreadable, "tcp://:80"}},
		weights:     map[string]int{"believe": 10, "annotate": 2, "create": 12, "kill": 4, "mode": 1},
	},
	{
		name: "priorities that the application sets", services: []*corev1.Service{manifest("a", map[string]string{api.AnnotationFailback: "10s"})},
		weights: map[string]int{"prioritize": 6, "time": 20, "ready": 2, "hear of all": 12, "finish": 30, "overwrite": 0, "lose": 0},
	},
	{
		name: "priorities that pods answer with", services: []*corev1.Service{manifest("a", map[string]string{api.AnnotationFailback: "10s"})},
		weights: map[string]int{
			"claim": 8, "believe": 4, "time": 40, "hear of all": 20, "finish": 60, "ready": 2, "create": 1, "hold": 1, "go wrong": 1,
			"delete": 0, "kill": 0, "end": 0, "label": 0, "unmark": 0, "exclude": 0, "cordon": 0, "remove a node": 0, "narrow": 0, "overwrite": 0, "lose": 0, "deny": 0,
		},
	},
	{name: "nodes that are cordoned", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"cordon": 12, "remove a node": 3}},
	{name: "nodes that are removed, by EndpointSlice", services: []*corev1.Service{manifest("a", nil, asks(api.RoutingEndpointSlice))}, weights: map[string]int{"remove a node": 12, "zone": 4}},
	{name: "nodes that lose power", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"power": 15, "believe": 2, "time": 10}},
	{name: "nodes that lose power, by EndpointSlice", services: []*corev1.Service{manifest("a", fenced, asks(api.RoutingEndpointSlice))}, weights: map[string]int{"power": 15, "time": 15, "remove a node": 3}},
	{name: "pods without the port", services: []*corev1.Service{manifest("a", nil, named)}, weights: map[string]int{"create": 12, "kill": 6}},
	{
		name: "another default is rolled out", services: []*corev1.Service{manifest("a", nil), manifest("b", shares)}, updated: true,
		routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector}, weights: map[string]int{"mode": 5, "route": 2, "hold": 8},
	},
	{name: "opting out and in", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"mode": 10}},
	{
		name: "opting out and in, by EndpointSlice", services: []*corev1.Service{manifest("a", nil, asks(api.RoutingEndpointSlice))},
		weights: map[string]int{"mode": 10},
	},
	{name: "a Service that is replaced", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"replace": 5, "remove or create": 5}},
	{
		name: "Services that share a Lease", services: []*corev1.Service{manifest("a", nil), manifest("b", shares, asks(api.RoutingEndpointSlice))},
		weights: map[string]int{"mode": 1, "replace": 1, "narrow": 2},
	},
	{
		name: "Services that share a Lease, after termination", services: []*corev1.Service{manifest("a", afterTermination), manifest("b", shares)},
		annotations: map[string][]string{api.AnnotationHandover: {api.HandoverAfterTermination, unreadable}},
		weights:     map[string]int{"mode": 1, "annotate": 2, "hold": 8, "lose": 0},
	},
	{
		name:     "a Service that narrows, beside two that share a Lease",
		services: []*corev1.Service{manifest("a", nil), manifest("b", shares), manifest("c", nil)}, weights: map[string]int{"narrow": 5, "label": 4},
	},
	{
		name: "two routings, and Kubernetes is late", services: []*corev1.Service{manifest("a", nil)}, routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector},
		weights: map[string]int{"route": 10, "hold": 20, "publish": 4, "ready": 4},
	},
	{name: "Services that overlap", services: []*corev1.Service{manifest("a", nil), manifest("b", nil)}, weights: map[string]int{"mode": 1, "replace": 1, "retype": 1}},
	{
		name: "Services that overlap in part, by label", services: []*corev1.Service{manifest("a", nil, fast), manifest("b", nil, asks(api.RoutingLabel))},
		weights: map[string]int{"narrow": 3, "label": 5, "mode": 1, "replace": 1},
	},
	{
		name: "Services that overlap in part, and all routings", services: []*corev1.Service{manifest("a", nil, fast, asks(api.RoutingLabel)), manifest("b", nil, asks(api.RoutingLabel)), manifest("c", shares)},
		routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector, api.RoutingLabel}, weights: map[string]int{"narrow": 2, "label": 5, "route": 3},
	},
	{name: "a Service that is retyped", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"retype": 3, "mode": 1}},
	{name: "a Service that loses its selector", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"unselect": 3, "mode": 1, "overwrite": 0}},
	{name: "Leases that are forged", services: []*corev1.Service{manifest("a", demotes)}, weights: map[string]int{"forge": 3, "lose": 0}},
	{
		name: "Leases that are deleted, and name another pod, after termination", services: []*corev1.Service{manifest("a", stops)},
		weights: map[string]int{"usurp": 6, "lose": 6, "kill": 0, "overwrite": 0},
	},
	{name: "Leases that an application takes", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"contend": 12, "time": 12}},
	{
		name: "a Lease that an application takes, with settings", services: []*corev1.Service{manifest("a", nil)}, annotations: preferring,
		weights: map[string]int{"contend": 12, "annotate": 4, "cordon": 2, "time": 10},
	},
	{name: "a Lease that is renewed, and that an application takes", services: []*corev1.Service{manifest("a", fenced)}, weights: map[string]int{"contend": 8, "believe": 4, "time": 15}},
	{
		name: "a shared Lease that an application takes, after termination", services: []*corev1.Service{manifest("a", stops), manifest("b", shares, asks(api.RoutingEndpointSlice))},
		weights: map[string]int{"contend": 8, "mode": 1, "stop": 10, "time": 8, "lose": 0},
	},
	{name: "Leases of others", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"disown": 3}},
	{
		name: "Services that join and leave", services: []*corev1.Service{manifest("a", nil), manifest("b", nil), manifest("c", nil, asks(api.RoutingEndpointSlice))},
		weights: map[string]int{"share": 3, "mode": 1},
	},
	{
		name: "after termination, with typing errors", services: []*corev1.Service{manifest("a", afterTermination)},
		weights: map[string]int{"mode": 2, "replace": 1},
	},
	{name: "a Service that observes", services: []*corev1.Service{manifest("a", nil)}, weights: map[string]int{"observe": 8, "mode": 2}},
	{
		name: "a Service that observes, and all routings", services: []*corev1.Service{manifest("a", stops, dual)}, weights: map[string]int{"observe": 8, "route": 5, "hold": 8},
		routings: []api.Routing{api.RoutingEndpointSlice, api.RoutingSelector, api.RoutingLabel},
	},
	{
		name: "Services that share a Lease, and observe", services: []*corev1.Service{manifest("a", stops), manifest("b", shares, asks(api.RoutingEndpointSlice))},
		weights: map[string]int{"observe": 5, "mode": 1, "replace": 1, "narrow": 2},
	},
	{
		name: "Services that overlap in part, and observe", services: []*corev1.Service{manifest("a", nil, fast), manifest("b", nil, asks(api.RoutingLabel))},
		weights: map[string]int{"observe": 5, "narrow": 3, "label": 5, "mode": 1},
	},
	{name: "only time wakes elections", services: []*corev1.Service{manifest("a", nil)}, deaf: true, weights: map[string]int{"time": 12}},
	{name: "only time wakes elections, after termination", services: []*corev1.Service{manifest("a", stops, asks(api.RoutingEndpointSlice))}, deaf: true, weights: map[string]int{"time": 12}},
}
