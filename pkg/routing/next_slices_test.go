package routing

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// slicePatch makes a slice what it must be. The slice has none of the API server's
// fields if it must be created.
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
	before := pods{pod("a", running, active("4")), pod("b", running, standby("4"))}
	after := pods{pod("a", running, standby("5")), pod("b", running, active("5"))}
	own := func(epoch string, change ...func(*observation.Member)) observation.Member {
		return service(slice, "", epoch, append([]func(*observation.Member){detached}, change...)...)
	}
	ofBothFamilies := func(m *observation.Member) { m.Spec.ClusterIP = corev1.ClusterIPNone }

	testNext(t, map[string]nextTest{
		"the slice is pointed at the holder first, in one write": {
			assignment: toB, members: services{own("4", with(ownSlice("a", "4")))}, pods: before,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"the former holder is demoted once the slice lists the holder": {
			assignment: toB, members: services{own("4", with(ownSlice("b", "5")))}, pods: before,
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"the Service's stamp, on which no traffic depends, is renewed last": {
			assignment: toB, members: services{own("4", with(ownSlice("b", "5")))}, pods: after,
			phase: PhaseTidy, patches: []Change{servicePatch(nil, keys{api.AnnotationLeaseTransitions: to("5")})},
		},
		"nothing is written once slice, pods and stamp are right": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5")))}, pods: after,
			phase: PhaseDone,
		},
		"pods get no identity label, because no Service selects it": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5")))},
			pods:  append(after[1:2:2], pod("c", running)),
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a slice goes if its Service selects a label that another election writes, although traffic then goes elsewhere": {
			assignment: toB,
			members:    services{service(label, "", "5", with(ownSlice("b", "5")), listing("uid-a"))},
			pods:       pods{pod("a", running, active("5"), elsewhere), pod("b", running, standby("5"), elsewhere)},
			phase:      PhaseDetach, patches: []Change{sliceRemoval(ownSlice("b", "5"))},
		},
		"a slice that is missing is made": {
			assignment: toB, members: services{own("5")}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5")))},
		},
		"the slice has no endpoint while the holder's pod is gone": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5")))}, pods: nil,
			phase: PhaseRoute, patches: []Change{slicePatch(knowing("b", ownSlice("", "5")))},
		},
		"the slice tells of a holder that is no longer a candidate, and does not list it": {
			assignment: toB, members: services{own("5", with(knowing("b", ownSlice("", "5"))))}, pods: pods{pod("b", running, unselected)},
			phase: PhaseDone,
		},
		"the slice no longer tells of a holder that it lists again": {
			assignment: toB, members: services{own("5", with(knowing("b", ownSlice("", "5"))))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"annotations that others have added to a slice stay": {
			assignment: toB, members: services{own("5", with(annotatedSlice(ownSlice("a", "4"), "other", "x")))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(annotatedSlice(ownSlice("b", "5"), "other", "x"))},
		},
		"a slice without any annotation counts as not stamped": {
			assignment: toB, members: services{own("5", with(bare(ownSlice("b", "5"))))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"a slice with a name that the controller does not use goes first": {
			assignment: toB, members: services{own("5", with(named("web-other", ownSlice("a", "4"))))}, pods: after,
			phase: PhaseCorrect, patches: []Change{sliceRemoval(named("web-other", ownSlice("a", "4")))},
		},
		"each address family has a slice, even if the holder has no address in it": {
			assignment: toB, members: services{own("5", ofBothFamilies, with(headless(ownSlice("b", "5"))))}, pods: after,
			phase: PhaseRoute,
			patches: []Change{slicePatch(created(named("web-master-ipv6", headless(func() *discoveryv1.EndpointSlice {
				s := ownSlice("", "5")
				s.AddressType, s.OwnerReferences = discoveryv1.AddressTypeIPv6, ownSlice("b", "5").OwnerReferences
				return s
			}()))))},
		},
		"a Service without a selector is not patched": {
			assignment: toB, members: services{service(slice, "", "", selectorless, with(ownSlice("b", "5")))}, pods: after,
			phase: PhaseDone,
		},

		"a Service that opts in gets its slice first, whatever Kubernetes lists": {
			assignment: toB, members: services{service(slice, "", "", listing("uid-a", "uid-b"))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5", slice)))},
		},
		"a Service that opts in is detached once its slice lists the holder": {
			assignment: toB, members: services{service(slice, "", "", with(ownSlice("b", "5", slice)), listing("uid-a", "uid-b"))}, pods: before,
			phase: PhaseDetach,
			patches: []Change{
				servicePatch(keys{api.LabelRouting: to("endpointslice")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a slice is transitional until Kubernetes lists no pod": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5", slice)), listing("uid-b"))}, pods: after,
			phase: PhaseDone,
		},
		"a slice does not wait for what Kubernetes has left of a removed selector": {
			assignment: toB, members: services{service(slice, "", "", selectorless, with(ownSlice("b", "5", slice)), listing("uid-a"))}, pods: after,
			phase: PhaseTidy, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"a slice that is no longer transitional says so last": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5", slice)))}, pods: after,
			phase: PhaseTidy, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"a slice that is no longer transitional says so at once if it is written anyway": {
			assignment: toB, members: services{own("5", with(ownSlice("a", "4", slice)))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5"))},
		},
		"a Service that leaves selector first gets a slice that lists no pod": {
			assignment: toB, members: services{service(slice, "uid-a", "4", listing("uid-a"))}, pods: before,
			phase: PhaseCorrect, patches: []Change{slicePatch(created(ownSlice("", "5", slice)))},
		},
		"a Service that leaves selector first has its slice list no pod": {
			assignment: toB, members: services{service(slice, "uid-a", "4", with(ownSlice("a", "4", slice)), listing("uid-a"))}, pods: before,
			phase: PhaseCorrect, patches: []Change{slicePatch(ownSlice("", "5", slice))},
		},
		"a Service that leaves selector is pointed at the holder once its slice lists no pod": {
			assignment: toB, members: services{service(slice, "uid-a", "4", with(ownSlice("", "5", slice)), listing("uid-a"))}, pods: before,
			phase: PhaseRoute,
			patches: []Change{
				migratingPatch(to("5"), keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a Service whose key another writer has removed is detached first, and its slice waits while Kubernetes lists another pod": {
			assignment: toB, members: services{service(slice, "", "5", listing("uid-a", "uid-b"))}, pods: after,
			phase: PhaseDetach, patches: []Change{servicePatch(keys{api.LabelRouting: to("endpointslice")}, nil)},
		},
		"a slice that lists the holder stays while Kubernetes has yet to list it": {
			assignment: toB, members: services{service(slice, "uid-b", "5", with(ownSlice("b", "5", slice)), listing(), followed("5"))}, pods: after,
			phase: PhaseDone,
		},
		"a Service that leaves selector is detached once Kubernetes and its slice list the holder": {
			assignment: toB, members: services{service(slice, "uid-b", "5", with(ownSlice("b", "5", slice)), listing("uid-b"), followed("5"))}, pods: after,
			phase: PhaseDetach,
			patches: []Change{
				migratingPatch(nil, keys{api.LabelRouting: to("endpointslice"), api.LabelPodUID: nil}, nil),
			},
		},
		"a Service that leaves label waits until Kubernetes lists the holder": {
			assignment: toB, members: services{service(label, "", "", wanting(slice), with(ownSlice("", "5", slice)), listing("uid-a"), followed("5"))}, pods: after,
			phase: PhaseDone,
		},
		"a Service that leaves label does not wait for a holder that another election designates": {
			assignment: toB, members: services{service(label, "", "", wanting(slice), listing())}, pods: pods{pod("b", running, elsewhere)},
			phase: PhaseRoute, patches: []Change{slicePatch(created(ownSlice("b", "5", slice)))},
		},
		"slices and labels wait while Kubernetes lists another pod": {
			assignment: toB, members: services{own("5", with(ownSlice("a", "4", slice)), listing("uid-a"))}, pods: before,
			phase: PhaseDone,
		},
		"the conditions of a slice follow the holder even while Kubernetes lists another pod": {
			assignment: toB, members: services{own("5", with(ownSlice("b", "5", slice)), listing("uid-a"))},
			pods:  pods{pod("a", running, standby("5")), pod("b", running, active("5"), notReady)},
			phase: PhaseRoute, patches: []Change{slicePatch(unready(ownSlice("b", "5", slice)))},
		},

		"a Service that changes to selector first has its slice say that it is transitional": {
			assignment: toB, members: services{service(selector, "", "5", detached, with(ownSlice("b", "5")))}, pods: after,
			phase: PhaseRoute, patches: []Change{slicePatch(ownSlice("b", "5", selector))},
		},
		"a Service that changes to selector is published once its slice is transitional": {
			assignment: toB, members: services{service(selector, "", "5", detached, with(ownSlice("b", "5", selector)))}, pods: after,
			phase: PhasePublish,
			patches: []Change{
				migratingPatch(to("5"), keys{api.LabelPodUID: to("uid-b"), api.LabelRouting: nil}, nil),
			},
		},
		"a Service that changes to selector is not published while Kubernetes still lists a pod": {
			assignment: toB, members: services{service(selector, "", "5", detached, with(ownSlice("b", "5", selector)), listing("uid-b"))}, pods: after,
			phase: PhaseDone,
		},
		"a slice that is transitional is kept until Kubernetes lists the holder": {
			assignment: toB, members: services{service(selector, "uid-b", "5", with(ownSlice("b", "5", selector)), followed("5"))}, pods: after,
			phase: PhaseDone,
		},
		"a slice that is transitional is removed once Kubernetes lists the holder": {
			assignment: toB, members: services{service(selector, "uid-b", "5", with(ownSlice("b", "5", selector)), listing("uid-b"), followed("5"))}, pods: after,
			phase: PhaseDetach, patches: []Change{sliceRemoval(ownSlice("b", "5"))},
		},
		"a slice that is transitional goes before Kubernetes lists a new holder": {
			assignment: toB, members: services{service(selector, "uid-a", "4", with(ownSlice("a", "4", selector)))}, pods: before,
			phase: PhaseCorrect, patches: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"a slice that is transitional is removed if it lists no pod": {
			assignment: toB, members: services{service(selector, "uid-b", "5", with(ownSlice("", "5", selector)), followed("5"))}, pods: nil,
			phase: PhaseDetach, patches: []Change{sliceRemoval(ownSlice("", "5"))},
		},
		"a Service that changes to label is published for the holder alone once that is promoted": {
			assignment: toB, members: services{service(label, "", "5", detached, with(ownSlice("b", "5", label)))}, pods: after,
			phase: PhasePublish, patches: []Change{migratingPatch(to("5"), keys{api.LabelRouting: nil, api.LabelPodUID: to("uid-b")}, nil)},
		},
		"a Service that leaves selector is labelled before its slice lists the holder": {
			assignment: toB, members: services{service(slice, "uid-b", "5", with(ownSlice("", "5", slice)), listing("uid-b"))}, pods: after,
			phase: PhaseRoute, patches: []Change{migratingPatch(to("5"), nil, nil)},
		},
		"a Service that has migrated loses the label last": {
			assignment: toB, members: services{service(selector, "uid-b", "5", listing("uid-b"), followed("5"))}, pods: after,
			phase: PhaseTidy, patches: []Change{migratingPatch(nil, nil, nil)},
		},
	})
}

func notReady(p *observation.Pod) { p.Status.Conditions = nil }

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
