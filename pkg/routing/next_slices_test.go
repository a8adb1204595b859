package routing

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// slicePatch makes a slice what it should be; it has none of the API server's
// fields if it is to be created.
func slicePatch(s *discoveryv1.EndpointSlice) Change {
	return Change{Kind: KindEndpointSlice, Namespace: "default", Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion, Slice: s}
}

func sliceRemoval(s *discoveryv1.EndpointSlice) Change {
	c := slicePatch(s)
	c.Slice = nil
	return c
}

func created(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.UID, s.ResourceVersion = "", ""
	return s
}

func TestNextByEndpointSlice(t *testing.T) {
	// b takes over from a.
	const selector, label, slice = api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice
	toB := Assignment{HolderUID: "uid-b", Epoch: 5}
	before := []Pod{pod("a", running, active("4")), pod("b", running, standby("4"))}
	after := []Pod{pod("a", running, standby("5")), pod("b", running, active("5"))}
	own := func(epoch string) Member { return member(slice, "", epoch).detached() }
	selectorless := member(slice, "", "")
	selectorless.Spec.Selector, selectorless.Settings.Selectorless = nil, true
	both := own("5")
	both.Spec.ClusterIP = "None"

	testNext(t, map[string]nextTest{
		"the slice is pointed at the holder first, in one write": {
			assignment: toB, members: []Member{own("4").with(ownSlice("a", "4"))}, pods: before,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"the holder before is demoted then": {
			assignment: toB, members: []Member{own("4").with(ownSlice("b", "5"))}, pods: before,
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"the Service's stamp is renewed last, as no traffic depends on it": {
			assignment: toB, members: []Member{own("4").with(ownSlice("b", "5"))}, pods: after,
			phase: PhaseTidy, patches: []Change{servicePatch(nil, keys{api.AnnotationLeaseTransitions: to("5")})},
		},
		"that was all": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5"))}, pods: after,
			phase: PhaseDone,
		},
		"pods get no identity, which nobody selects": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5"))},
			pods:  append(after[1:2:2], pod("c", running)),
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a slice whose Service goes by a label that is another election's goes, although that leads elsewhere": {
			assignment: toB,
			members:    []Member{member(label, "", "5").with(ownSlice("b", "5")).listing("uid-a")},
			pods:       []Pod{pod("a", running, active("5"), elsewhere), pod("b", running, standby("5"), elsewhere)},
			phase:      PhaseDetach, patches: []Change{sliceRemoval(ownSlice("b", "5"))},
		},
		"a slice that is not there is made": {
			assignment: toB, members: []Member{own("5")}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5")))},
		},
		"a slice of nobody is one without an endpoint": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5"))}, pods: nil,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("", "5"))},
		},
		"nor does it list a holder that is no candidate any more": {
			assignment: toB, members: []Member{own("5").with(ownSlice("", "5"))}, pods: []Pod{pod("b", running, unselected)},
			phase: PhaseDone,
		},
		"what others have added to a slice stays": {
			assignment: toB, members: []Member{own("5").with(annotatedSlice(ownSlice("a", "4"), "other", "x"))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(annotatedSlice(ownSlice("b", "5"), "other", "x"))},
		},
		"a slice without any annotation is one of the first epoch": {
			assignment: toB, members: []Member{own("5").with(bare(ownSlice("b", "5")))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"a slice of a name that is none of the controller's goes first": {
			assignment: toB, members: []Member{own("5").with(named("web-other", ownSlice("a", "4")))}, pods: after,
			phase: PhaseCorrect, patches: []Change{sliceRemoval(named("web-other", ownSlice("a", "4")))},
		},
		"of each address family there is one, also of one in which the holder has no address": {
			assignment: toB, members: []Member{both.with(headless(ownSlice("b", "5")))}, pods: after,
			phase: PhaseRoute,
			patches: []Change{slicePatch(created(named("web-master-ipv6", headless(func() *discoveryv1.EndpointSlice {
				s := ownSlice("", "5")
				s.AddressType, s.OwnerReferences = discoveryv1.AddressTypeIPv6, ownSlice("b", "5").OwnerReferences
				return s
			}()))))},
		},
		"without a selector nothing is written to the Service": {
			assignment: toB, members: []Member{selectorless.with(ownSlice("b", "5"))}, pods: after,
			phase: PhaseDone,
		},

		"what opts in is published first, whomever Kubernetes lists": {
			assignment: toB, members: []Member{member(slice, "", "").listing("uid-a", "uid-b")}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5", slice)))},
		},
		"then the Service is detached": {
			assignment: toB, members: []Member{member(slice, "", "").with(ownSlice("b", "5", slice)).listing("uid-a", "uid-b")}, pods: before,
			phase: PhaseDetach,
			patches: []Change{
				servicePatch(keys{api.LabelRouting: to("endpointslice")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"the slice is handing over until Kubernetes lists nobody": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5", slice)).listing("uid-b")}, pods: after,
			phase: PhaseDone,
		},
		"what Kubernetes has left of a selector is not waited for": {
			assignment: toB, members: []Member{selectorless.with(ownSlice("b", "5", slice)).listing("uid-a")}, pods: after,
			phase: PhaseTidy, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"and in the end the slice is no longer handing over": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5", slice))}, pods: after,
			phase: PhaseTidy, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"but at once if it is written anyway": {
			assignment: toB, members: []Member{own("5").with(ownSlice("a", "4", slice))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"by selector, what is to go over first gets a slice that lists nobody": {
			assignment: toB, members: []Member{member(slice, "uid-a", "4").listing("uid-a")}, pods: before,
			phase: PhaseCorrect, patches: []Change{slicePatch(created(ownSlice("", "5", slice)))},
		},
		"or has its slice say so": {
			assignment: toB, members: []Member{member(slice, "uid-a", "4").with(ownSlice("a", "4", slice)).listing("uid-a")}, pods: before,
			phase: PhaseCorrect, patches: []Change{slicePatch(ownSlice("", "5", slice))},
		},
		"then it routes to the holder": {
			assignment: toB, members: []Member{member(slice, "uid-a", "4").with(ownSlice("", "5", slice)).listing("uid-a")}, pods: before,
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a slice that lists the holder stays while Kubernetes has yet to": {
			assignment: toB, members: []Member{member(slice, "uid-b", "5").with(ownSlice("b", "5", slice)).listing()}, pods: after,
			phase: PhaseDone,
		},
		"by selector, it goes over once Kubernetes lists the holder": {
			assignment: toB, members: []Member{member(slice, "uid-b", "5").with(ownSlice("b", "5", slice)).listing("uid-b")}, pods: after,
			phase: PhaseDetach,
			patches: []Change{
				servicePatch(keys{api.LabelRouting: to("endpointslice"), api.LabelPodUID: nil}, nil),
			},
		},
		"by label, it waits until Kubernetes lists the holder": {
			assignment: toB, members: []Member{member(label, "", "").to(slice).with(ownSlice("", "5", slice)).listing("uid-a")}, pods: after,
			phase: PhaseDone,
		},
		"by label, it does not wait for a holder that another election designates": {
			assignment: toB, members: []Member{member(label, "", "").to(slice).listing()}, pods: []Pod{pod("b", running, elsewhere)},
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5", slice)))},
		},
		"while Kubernetes lists another, the slice waits, and the labels": {
			assignment: toB, members: []Member{own("5").with(ownSlice("a", "4", slice)).listing("uid-a")}, pods: before,
			phase: PhaseDone,
		},
		"but its conditions follow": {
			assignment: toB, members: []Member{own("5").with(ownSlice("b", "5", slice)).listing("uid-a")},
			pods:  []Pod{pod("a", running, standby("5")), pod("b", running, active("5"), notReady)},
			phase: PhaseRoute, patches: []Change{slicePatch(unready(ownSlice("b", "5", slice)))},
		},

		"what goes over to selector is handed over first": {
			assignment: toB, members: []Member{member(selector, "", "5").detached().with(ownSlice("b", "5"))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5", selector))},
		},
		"then the Service is published": {
			assignment: toB, members: []Member{member(selector, "", "5").detached().with(ownSlice("b", "5", selector))}, pods: after,
			phase: PhasePublish,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b"), api.LabelRouting: nil}, nil),
			},
		},
		"but not while Kubernetes still lists somebody": {
			assignment: toB, members: []Member{member(selector, "", "5").detached().with(ownSlice("b", "5", selector)).listing("uid-b")}, pods: after,
			phase: PhaseDone,
		},
		"the slice is kept until Kubernetes lists the holder": {
			assignment: toB, members: []Member{member(selector, "uid-b", "5").with(ownSlice("b", "5", selector))}, pods: after,
			phase: PhaseDone,
		},
		"and removed then": {
			assignment: toB, members: []Member{member(selector, "uid-b", "5").with(ownSlice("b", "5", selector)).listing("uid-b")}, pods: after,
			phase: PhaseDetach, patches: []Change{sliceRemoval(ownSlice("b", "5"))},
		},
		"if the holder changes meanwhile, the slice goes before Kubernetes lists the new one": {
			assignment: toB, members: []Member{member(selector, "uid-a", "4").with(ownSlice("a", "4", selector))}, pods: before,
			phase: PhaseCorrect, patches: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"a slice of nobody is of no use": {
			assignment: toB, members: []Member{member(selector, "uid-b", "5").with(ownSlice("", "5", selector))}, pods: nil,
			phase: PhaseDetach, patches: []Change{sliceRemoval(ownSlice("", "5"))},
		},
		"what goes over to label is published once the holder is promoted": {
			assignment: toB, members: []Member{member(label, "", "5").detached().with(ownSlice("b", "5", label))}, pods: after,
			phase: PhasePublish, patches: []Change{servicePatch(keys{api.LabelRouting: nil}, keys{api.AnnotationLeaseTransitions: nil})},
		},
	})
}

// to is the member after its user has chosen another routing.
func (m Member) to(routing api.Routing) Member {
	m.Settings.Routing = routing
	return m
}

func notReady(p *Pod) { p.Status.Conditions = nil }

func unready(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	no := false
	s.Endpoints[0].Conditions.Ready, s.Endpoints[0].Conditions.Serving = &no, &no
	return s
}

func bare(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Annotations = nil
	return s
}

func headless(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	metav1.SetMetaDataLabel(&s.ObjectMeta, "service.kubernetes.io/headless", "")
	return s
}
