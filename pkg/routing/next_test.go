package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func TestNext(t *testing.T) {
	// b takes over from a; c is a standby all the time.
	toB := Assignment{HolderUID: "uid-b", Epoch: 5}
	bySelector := func(selected, epoch string) services { return services{service(api.RoutingSelector, selected, epoch)} }
	byLabel := services{service(api.RoutingLabel, "", "")}
	// bare is a pod of routing by label, which needs no identity.
	bare := func(name, designation, stamp string, more ...func(*observation.Pod)) observation.Pod {
		return pod(name, append([]func(*observation.Pod){designated(designation), stamped(stamp)}, more...)...)
	}
	cost := annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)

	testNext(t, map[string]nextTest{
		"by selector, the holder gets its identity label first": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: pods{pod("a", active("4")), pod("b"), pod("c")},
			phase: PhaseIdentify,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: to("uid-b")}, nil),
			},
		},
		"by selector, a pod that would pass for the holder loses that label first": {
			assignment: toB, members: bySelector("uid-a", "4"),
			pods:  pods{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"), labelled(api.LabelPodUID, "uid-b"))},
			phase: PhaseCorrect,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: to("uid-c")}, nil),
			},
		},
		"by selector, the Service is pointed at an identified holder in one patch": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: pods{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by selector, the former holder is demoted once the Service is routed": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"by selector, the holder is promoted once the former one is demoted": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", standby("5")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: to("1073741824")}),
			},
		},
		"by selector, new pods are marked last": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a"), pod("b", active("5")), pod("c", identified)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: to("uid-a"), api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by selector, a standby's stamp is not renewed": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", standby("5")), pod("b", active("5")), pod("c", standby("4"))},
			phase: PhaseDone,
		},

		"by label, the former holder is demoted first, and no pod is identified": {
			assignment: toB, members: byLabel,
			pods:  pods{bare("a", "active", "4", cost), bare("b", "standby", "4"), pod("c", labelled(api.LabelPodUID, "uid-b"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"by label, all active pods but the holder are demoted together": {
			assignment: toB, members: byLabel,
			pods:  pods{bare("a", "active", "4"), bare("b", "standby", "4"), pod("c", designated("active"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by label, the holder is promoted once no other pod is active": {
			assignment: toB, members: byLabel, pods: pods{bare("a", "standby", "5"), bare("b", "standby", "4"), pod("c")},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: to("1073741824")}),
			},
		},
		"by label, new pods are marked last": {
			assignment: toB, members: byLabel, pods: pods{bare("a", "standby", "5"), bare("b", "active", "5", cost), pod("c")},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by label, a standby's stamp is not renewed": {
			assignment: toB, members: byLabel, pods: pods{bare("a", "standby", "5"), bare("b", "active", "5", cost), bare("c", "standby", "4")},
			phase: PhaseDone,
		},

		"a Service fails closed while there has been no master": {
			assignment: Assignment{}, members: bySelector("", ""), pods: pods{pod("a"), pod("b")},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("none")}, keys{api.AnnotationLeaseTransitions: to("0")}),
			},
		},
		"pods are identified even before there is a master": {
			assignment: Assignment{}, members: bySelector("none", "0"), pods: pods{pod("a")},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: to("uid-a"), api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("0")}),
			},
		},
		"only the stamp is renewed where the holder stays": {
			assignment: toB, members: bySelector("uid-b", "4"), pods: pods{pod("b", active("4"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(nil, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a stamp that cannot be read counts as none": {
			assignment: toB, members: bySelector("uid-a", "five"), pods: pods{pod("b", active("5"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"objects that are stamped with a later epoch are left alone": {
			assignment: toB, members: bySelector("uid-c", "6"),
			pods:  pods{pod("a", active("6")), pod("b", standby("6"), labelled(api.LabelPodUID, "uid-a")), pod("c", stamped("6"))},
			phase: PhaseDone,
		},
		"a later stamp on one object does not protect the others": {
			assignment: toB, members: bySelector("uid-c", "6"), pods: pods{pod("a", active("4")), pod("b", active("5")), pod("c", active("6"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"the designation of another election's pod is not taken away": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", active("9"), elsewhere), pod("b", active("5")), pod("c", designated("active"), elsewhere)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: to("uid-c")}, nil),
			},
		},
		"the stamp of another election's pod does not keep it from being identified": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: pods{pod("b", stamped("9"), elsewhere)},
			phase: PhaseIdentify,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: to("uid-b")}, nil),
			},
		},
		"an active pod that is no longer a candidate loses its marks before another pod is promoted": {
			assignment: toB, members: byLabel, pods: pods{pod("a", active("4"), unselected), bare("b", "standby", "4")},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationDeletionCost: nil}),
			},
		},
		"a holder that is no longer a candidate loses its marks, but for the trace of its epoch": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", active("5"), unselected)},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationDeletionCost: nil, api.AnnotationWitness: to("uid-b@5/web")}),
			},
		},
		"a standby that is no longer a candidate loses its marks last": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", active("5")), pod("c", standby("4"), unselected)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil}),
			},
		},
		"a pod that is no longer a candidate keeps the marks of another election": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", active("5")), pod("c", active("4"), unselected, elsewhere)},
			phase: PhaseDone,
		},
		"a stamp that no cluster reaches counts as none": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", active("2147483647"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", nil, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a holder that another election designates is not designated": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", identified, elsewhere)},
			phase: PhaseDone,
		},
		"a deletion cost that a user has set on the holder stays": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("b", standby("4"), annotated(api.AnnotationDeletionCost, "-5"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a deletion cost that a user has set on the former holder stays": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", active("4"), annotated(api.AnnotationDeletionCost, "-5")), pod("b", active("5"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a standby that has kept the holder's deletion cost loses it": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: pods{pod("a", standby("5"), cost), pod("b", active("5"))},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", nil, keys{api.AnnotationDeletionCost: nil}),
			},
		},
		"a Service that was changed to routing by label loses the controller's key once the holder is promoted": {
			assignment: toB, members: services{service(api.RoutingLabel, "uid-b", "5")}, pods: pods{pod("b", active("5"))},
			phase: PhasePublish,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
			},
		},
		"a Service that was changed to routing by label keeps the stamp of an epoch that no pod is stamped with": {
			assignment: Assignment{"uid-gone", 5}, members: services{service(api.RoutingLabel, "uid-gone", "5")}, pods: pods{pod("a", standby("4"))},
			phase: PhasePublish, patches: []Change{servicePatch(keys{api.LabelPodUID: nil}, nil)},
		},
		"a Service by label that another election contests names the master too, before any pod is promoted": {
			assignment: toB, members: services{service(api.RoutingSelector, "", "", contested)}, pods: pods{pod("a", active("4")), pod("b", standby("4")), pod("c", active("9"), elsewhere)},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a Service by label that no election contests any longer loses the controller's key once the holder is promoted": {
			assignment: toB, members: services{service(api.RoutingLabel, "uid-b", "5")}, pods: pods{pod("b", standby("4")), pod("c", active("5"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationWitness: to("uid-c"), api.AnnotationDeletionCost: nil}),
			},
		},
		"two Services by selector are pointed at the holder together, and one by label is not patched": {
			assignment: toB,
			members: services{
				service(api.RoutingSelector, "uid-a", "4"), service(api.RoutingLabel, "", ""), service(api.RoutingSelector, "uid-a", ""),
			},
			pods:  pods{pod("a", active("4")), pod("b", standby("4"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
	})
}

type nextTest struct {
	assignment Assignment
	members    services
	pods       pods
	phase      Phase
	patches    []Change
}

func testNext(t *testing.T, tests map[string]nextTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			phase, patches := NewPlan(test.assignment, test.members, test.pods).Next()
			if phase != test.phase {
				t.Errorf("phase %d, want %d", phase, test.phase)
			}
			for _, p := range patches {
				if _, stamped := p.Annotations[api.AnnotationLeaseTransitions]; stamped {
					// TestWitness has it.
					delete(p.Annotations, api.AnnotationWitness)
				}
			}
			if diff := cmp.Diff(test.patches, patches, emptyIsNil); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
