package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestNext(t *testing.T) {
	// b takes over from a, with c looking on.
	toB := Assignment{HolderUID: "uid-b", Epoch: 5}
	bySelector := func(selected, epoch string) []Member { return []Member{member(api.RoutingSelector, selected, epoch)} }
	byLabel := []Member{member(api.RoutingLabel, "", "")}
	// bare is a pod of routing by label, which needs no identity.
	bare := func(name, designation, stamp string, more ...func(*Pod)) Pod {
		return pod(name, append([]func(*Pod){designated(designation), stamped(stamp)}, more...)...)
	}
	cost := annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)

	testNext(t, map[string]nextTest{
		"by selector, the holder gets its identity label first": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: []Pod{pod("a", active("4")), pod("b"), pod("c")},
			phase: PhaseIdentify,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: to("uid-b")}, nil),
			},
		},
		"by selector, a pod that would pass for the holder loses that label first": {
			assignment: toB, members: bySelector("uid-a", "4"),
			pods:  []Pod{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"), labelled(api.LabelPodUID, "uid-b"))},
			phase: PhaseCorrect,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: to("uid-c")}, nil),
			},
		},
		"by selector, the Service is pointed at the holder next, in one patch": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: []Pod{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by selector, the holder before is demoted then": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", active("4")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"by selector, the holder is promoted then": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", standby("5")), pod("b", standby("4")), pod("c", standby("4"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: to("1073741824")}),
			},
		},
		"by selector, pods that are new are marked last": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a"), pod("b", active("5")), pod("c", identified)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: to("uid-a"), api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by selector, that was all, and a standby's stamp is not renewed": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", standby("5")), pod("b", active("5")), pod("c", standby("4"))},
			phase: PhaseDone,
		},

		"by label, the holder before is demoted first, and nobody is identified": {
			assignment: toB, members: byLabel,
			pods:  []Pod{bare("a", "active", "4", cost), bare("b", "standby", "4"), pod("c", labelled(api.LabelPodUID, "uid-b"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"by label, all pods that are active and shouldn't be are demoted together": {
			assignment: toB, members: byLabel,
			pods:  []Pod{bare("a", "active", "4"), bare("b", "standby", "4"), pod("c", designated("active"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by label, the holder is promoted then": {
			assignment: toB, members: byLabel, pods: []Pod{bare("a", "standby", "5"), bare("b", "standby", "4"), pod("c")},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: to("1073741824")}),
			},
		},
		"by label, pods that are new are marked last": {
			assignment: toB, members: byLabel, pods: []Pod{bare("a", "standby", "5"), bare("b", "active", "5", cost), pod("c")},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"by label, that was all, and a standby's stamp is not renewed": {
			assignment: toB, members: byLabel, pods: []Pod{bare("a", "standby", "5"), bare("b", "active", "5", cost), bare("c", "standby", "4")},
			phase: PhaseDone,
		},

		"a Service fails closed while there has been no master": {
			assignment: Assignment{}, members: bySelector("", ""), pods: []Pod{pod("a"), pod("b")},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("none")}, keys{api.AnnotationLeaseTransitions: to("0")}),
			},
		},
		"pods are identified early, also without a master": {
			assignment: Assignment{}, members: bySelector("none", "0"), pods: []Pod{pod("a")},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: to("uid-a"), api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("0")}),
			},
		},
		"a stamp alone is renewed where the holder stays": {
			assignment: toB, members: bySelector("uid-b", "4"), pods: []Pod{pod("b", active("4"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(nil, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a stamp that cannot be read is like none": {
			assignment: toB, members: bySelector("uid-a", "five"), pods: []Pod{pod("b", active("5"))},
			phase: PhaseRoute,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: to("uid-b")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"what is stamped with a later epoch is left alone": {
			assignment: toB, members: bySelector("uid-c", "6"),
			pods:  []Pod{pod("a", active("6")), pod("b", standby("6"), labelled(api.LabelPodUID, "uid-a")), pod("c", stamped("6"))},
			phase: PhaseDone,
		},
		"only that is left alone": {
			assignment: toB, members: bySelector("uid-c", "6"), pods: []Pod{pod("a", active("4")), pod("b", active("5")), pod("c", active("6"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5"), api.AnnotationDeletionCost: nil}),
			},
		},
		"the designation of another election's pod is not ours to take": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", active("9"), elsewhere), pod("b", active("5")), pod("c", designated("active"), elsewhere)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: to("uid-c")}, nil),
			},
		},
		"the stamp of another election's pod does not keep it from its identity": {
			assignment: toB, members: bySelector("uid-a", "4"), pods: []Pod{pod("b", stamped("9"), elsewhere)},
			phase: PhaseIdentify,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: to("uid-b")}, nil),
			},
		},
		"a pod that is no candidate any more loses its marks, the designation before another gets it": {
			assignment: toB, members: byLabel, pods: []Pod{pod("a", active("4"), unselected), bare("b", "standby", "4")},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationDeletionCost: nil}),
			},
		},
		"also the holder": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", active("5"), unselected)},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("b", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationDeletionCost: nil}),
			},
		},
		"a standby that is no candidate any more loses its marks in the end": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", active("5")), pod("c", standby("4"), unselected)},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("c", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil}),
			},
		},
		"but not if they are another election's": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", active("5")), pod("c", active("4"), unselected, elsewhere)},
			phase: PhaseDone,
		},
		"a stamp that no cluster reaches is none": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", active("2147483647"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", nil, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"the designation of a holder that is another election's pod is not ours to give": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", identified, elsewhere)},
			phase: PhaseDone,
		},
		"a deletion cost that a user has set on the holder stays": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("b", standby("4"), annotated(api.AnnotationDeletionCost, "-5"))},
			phase: PhasePromote,
			patches: []Change{
				podPatch("b", keys{api.LabelDesignation: to("active")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"a deletion cost that a user has set on the holder before stays": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", active("4"), annotated(api.AnnotationDeletionCost, "-5")), pod("b", active("5"))},
			phase: PhaseDemote,
			patches: []Change{
				podPatch("a", keys{api.LabelDesignation: to("standby")}, keys{api.AnnotationLeaseTransitions: to("5")}),
			},
		},
		"the holder's deletion cost goes with a standby that has kept it": {
			assignment: toB, members: bySelector("uid-b", "5"), pods: []Pod{pod("a", standby("5"), cost), pod("b", active("5"))},
			phase: PhaseTidy,
			patches: []Change{
				podPatch("a", nil, keys{api.AnnotationDeletionCost: nil}),
			},
		},
		"a Service that went over to routing by label loses our key, once the holder is promoted": {
			assignment: toB, members: []Member{member(api.RoutingLabel, "uid-b", "5")}, pods: []Pod{pod("b", active("5"))},
			phase: PhasePublish,
			patches: []Change{
				servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
			},
		},
		"two Services are pointed at the holder together, and only the one whose routing it is": {
			assignment: toB,
			members: []Member{
				member(api.RoutingSelector, "uid-a", "4"), member(api.RoutingLabel, "", ""), member(api.RoutingSelector, "uid-a", ""),
			},
			pods:  []Pod{pod("a", active("4")), pod("b", standby("4"))},
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
	members    []Member
	pods       []Pod
	phase      Phase
	patches    []Change
}

func testNext(t *testing.T, tests map[string]nextTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			Begin(test.assignment, test.members, test.pods)
			phase, patches := Next(test.assignment, test.members, test.pods)
			if phase != test.phase {
				t.Errorf("phase %d, want %d", phase, test.phase)
			}
			if diff := cmp.Diff(test.patches, patches, emptyIsNil); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRouted(t *testing.T) {
	selector, label := member(api.RoutingSelector, "", ""), member(api.RoutingLabel, "", "")
	tests := map[string]struct {
		members []Member
		want    Phase
	}{
		"by selector, with the Service":                   {[]Member{selector, selector}, PhaseRoute},
		"by label, with the holder's designation":         {[]Member{label}, PhasePromote},
		"of both, with the later, where both have to be":  {[]Member{selector, label}, PhasePromote},
		"whatever the order in which the Services are in": {[]Member{label, selector}, PhasePromote},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Routed(test.members); got != test.want {
				t.Errorf("phase %d, want %d", got, test.want)
			}
		})
	}
}
