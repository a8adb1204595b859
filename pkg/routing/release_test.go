package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestReleaseService(t *testing.T) {
	tests := map[string]struct {
		member Member
		marked bool
		want   Change
	}{
		"a Service that the controller has written to loses both keys": {
			member: member(api.RoutingSelector, "uid-a", "4"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service that was detached is published": {
			member: member(api.RoutingEndpointSlice, "", "4").detached(), marked: true,
			want: servicePatch(keys{api.LabelRouting: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a user's selector of that key stays": {
			member: member(api.RoutingEndpointSlice, "", "").detached(),
			want:   servicePatch(nil, nil),
		},
		"also if the stamp cannot be read": {
			member: member(api.RoutingSelector, "uid-a", "x"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"also the stamp alone": {
			member: member(api.RoutingSelector, "", "4"), marked: true,
			want: servicePatch(nil, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a user's selector of the same key stays": {
			member: member(api.RoutingSelector, "uid-a", ""),
			want:   servicePatch(nil, nil),
		},
		"a user's selector of the designation stays": {
			member: member(api.RoutingLabel, "uid-a", "4"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := MarkedService(test.member.Service); got != test.marked {
				t.Errorf("marked: %v, want %v", got, test.marked)
			}
			if diff := cmp.Diff(test.want, ReleaseService(test.member.Service), emptyIsNil); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReleasePod(t *testing.T) {
	tests := map[string]struct {
		pod    Pod
		marked bool
		want   Change
	}{
		"a master loses all marks": {
			pod: pod("a", active("4")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationDeletionCost: nil}),
		},
		"a standby loses all marks": {
			pod: pod("a", standby("4")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a standby of routing by label loses its marks": {
			pod: pod("a", designated("standby"), stamped("4")), marked: true,
			want: podPatch("a", keys{api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a pod that is only identified loses that alone": {
			pod: pod("a", identified, designated("active")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil}, nil),
		},
		"a user's deletion cost stays": {
			pod: pod("a", active("4"), annotated(api.AnnotationDeletionCost, "-5")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"the predecessor's designation stays": {
			pod:  pod("a", designated("active"), annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)),
			want: podPatch("a", nil, nil),
		},
		"a pod that nobody has written to": {
			pod:  pod("a"),
			want: podPatch("a", nil, nil),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := MarkedPod(test.pod.Pod); got != test.marked {
				t.Errorf("marked: %v, want %v", got, test.marked)
			}
			if diff := cmp.Diff(test.want, ReleasePod(test.pod.Pod), emptyIsNil); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}
