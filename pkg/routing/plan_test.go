package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func TestRouted(t *testing.T) {
	selector, label := service(api.RoutingSelector, "uid-a", "4"), service(api.RoutingLabel, "", "")
	migrating := service(api.RoutingSelector, "uid-a", "4", with(ownSlice("a", "4")))
	const never = PhaseDone + 1
	tests := map[string]struct {
		members services
		// from is the first phase before which traffic goes to the holder.
		from Phase
	}{
		"by selector, traffic follows with the Service":                      {services{selector, selector}, PhaseDetach},
		"by label, traffic follows with the holder's designation":            {services{label}, PhasePublish},
		"by both, traffic follows with the later":                            {services{selector, label}, PhasePublish},
		"by both in the other order, traffic follows with the later":         {services{label, selector}, PhasePublish},
		"by EndpointSlice, traffic follows with the slice":                   {services{service(api.RoutingEndpointSlice, "", "4", detached, with(ownSlice("a", "4")))}, PhaseDetach},
		"while a Service migrates, traffic is not known to follow":           {services{migrating}, never},
		"while one of two Services migrates, traffic is not known to follow": {services{selector, migrating}, never},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(Assignment{"uid-a", 4}, test.members, marked())
			for phase := PhaseCorrect; phase <= PhaseDone; phase++ {
				if got, want := plan.Routed(phase), phase >= test.from; got != want {
					t.Errorf("before phase %d: %v, want %v", phase, got, want)
				}
			}
		})
	}
}

// What failed holds up only what depends on it, and an open Service is closed all the same.
func TestFailedHoldsUp(t *testing.T) {
	const selector, slice = api.RoutingSelector, api.RoutingEndpointSlice
	toB := Assignment{"uid-b", 5}
	former := pod("a", running, active("4"))
	bare, marked := pod("b", running), pod("b", running, standby("4"))
	tests := map[string]struct {
		members services
		pods    pods
		failed  []Phase
		want    Phase
	}{
		"a Service waits for the holder's identity label, the designation does not": {
			services{service(selector, "uid-a", "4")}, pods{former, bare}, []Phase{PhaseIdentify}, PhaseDemote,
		},
		"an open Service is closed without the holder's identity label": {
			services{service(selector, "", "")}, pods{former, bare}, []Phase{PhaseIdentify}, PhaseRoute,
		},
		"own slices do not wait for the holder's identity label": {
			services{service(selector, "uid-a", "4"), service(slice, "", "4", detached, with(ownSlice("a", "4")))}, pods{former, bare}, []Phase{PhaseIdentify}, PhaseRoute,
		},
		"a Service is not detached without its own slices": {
			services{service(slice, "uid-b", "5", with(ownSlice("", "5", slice)), listing("uid-b"), followed("5"))}, pods{former, marked}, []Phase{PhaseRoute}, PhaseDemote,
		},
		"an open Service is detached without its own slices": {
			services{service(slice, "", "", listing("uid-a", "uid-b"))}, pods{former, marked}, []Phase{PhaseRoute}, PhaseDetach,
		},
		"the holder is not designated beside another": {
			services{service(selector, "uid-b", "5")}, pods{former, marked, pod("c")}, []Phase{PhaseDemote}, PhaseTidy,
		},
		"a Service that cannot be written to does not hold up the designation": {
			services{service(selector, "uid-a", "4")}, pods{former, marked}, []Phase{PhaseRoute}, PhaseDemote,
		},
		"a standby that cannot be marked ends the plan": {
			services{service(selector, "uid-b", "5")}, pods{pod("b", running, active("5")), pod("c")}, []Phase{PhaseTidy}, PhaseDone,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(toB, test.members, test.pods)
			for _, phase := range test.failed {
				if got, _ := plan.Next(); got != phase {
					t.Fatalf("phase %d, want %d", got, phase)
				}
				plan.Failed(phase)
				if phase <= PhaseRoute && plan.Routed(PhaseDone) {
					t.Error("traffic is said to follow")
				}
			}
			if got, _ := plan.Next(); got != test.want {
				t.Errorf("phase %d, want %d", got, test.want)
			}
		})
	}
}

// A pod that passes for the holder, and cannot be given its own label, closes the Service. It opens
// again with the pod that is corrected, and neither is a reversion.
func TestPodThatPassesForTheHolder(t *testing.T) {
	holder := pod("a", running, active("4"))
	copied := pod("b", running, func(p *observation.Pod) { p.Labels[api.LabelPodUID] = "uid-a" })
	tests := map[string]struct {
		service observation.Member
		pods    pods
		want    []Change
	}{
		"a Service by selector is closed": {
			service(api.RoutingSelector, "uid-a", "4"), pods{holder, copied}, []Change{servicePatch(keys{api.LabelPodUID: ptr.To(api.NoPod)}, nil)},
		},
		"a Service that is closed stays so": {service(api.RoutingSelector, api.NoPod, "4"), pods{holder, copied}, nil},
		"a Service by EndpointSlice lists the holder alone anyway": {
			service(api.RoutingEndpointSlice, "", "4", detached, with(ownSlice("a", "4"))), pods{holder, copied}, nil,
		},
		"another pod's label is of no matter": {
			service(api.RoutingSelector, "uid-a", "4"), pods{holder, pod("b", running, func(p *observation.Pod) { p.Labels[api.LabelPodUID] = "uid-c" })}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(Assignment{"uid-a", 4}, services{test.service}, test.pods)
			if phase, _ := plan.Next(); phase == PhaseCorrect {
				plan.Failed(PhaseCorrect)
			} else if test.service.Settings.Routing == api.RoutingSelector {
				t.Fatalf("phase %d, want the correction", phase)
			}
			plan.Failed(PhaseTidy)
			_, got := plan.Next()
			if diff := cmp.Diff(test.want, got, emptyIsNil); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if len(plan.reverted) > 0 {
				t.Errorf("another writer is said to have overwritten %v", plan.reverted)
			}
		})
	}
	open := NewPlan(Assignment{"uid-a", 4}, services{service(api.RoutingSelector, api.NoPod, "4")}, pods{holder, pod("b", running, standby("4"))})
	if _, got := open.Next(); cmp.Diff([]Change{servicePatch(keys{api.LabelPodUID: ptr.To("uid-a")}, nil)}, got, emptyIsNil) != "" {
		t.Errorf("changes %v once no pod passes for the holder, want the Service to select it", got)
	}
}

func TestAppliedTellsOnceOfAReversion(t *testing.T) {
	reverted := service(api.RoutingSelector, "uid-b", "4")
	reverted.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:selector":{}}}`)}}
	web := pod("a", running, active("4"))
	plan := NewPlan(Assignment{"uid-a", 4}, services{reverted}, pods{web})

	if got := plan.Applied(podPatch("a", nil, nil), web.Pod); got != nil {
		t.Errorf("the change of a pod tells of %v", *got)
	}
	_, changes := plan.Next()
	if len(changes) != 1 || changes[0].Kind != KindService {
		t.Fatalf("changes %v, want one of the Service", changes)
	}
	mended := service(api.RoutingSelector, "uid-a", "4").Service
	want := &Reversion{Key: api.LabelPodUID, Manager: "helm"}
	if diff := cmp.Diff(want, plan.Applied(changes[0], mended)); diff != "" {
		t.Errorf("the first change of the Service (-want +got):\n%s", diff)
	}
	if got := plan.Applied(changes[0], mended); got != nil {
		t.Errorf("the second change of the Service tells of %v", *got)
	}
}

func TestApplied(t *testing.T) {
	called := func(name string, m observation.Member) observation.Member {
		m.Name, m.UID = name, meta(name).UID
		return m
	}
	own := func(name, holder string) *discoveryv1.EndpointSlice {
		s := ownSlice(holder, "4")
		s.Name, s.Labels[discoveryv1.LabelServiceName] = observation.SliceName(name, discoveryv1.AddressTypeIPv4), name
		return s
	}
	const slice = api.RoutingEndpointSlice
	web, db := called("web", service(slice, "", "4", detached, with(own("web", "b")))), called("db", service(slice, "", "4", detached))
	changedService := called("db", service(slice, "", "5", detached)).Service
	changedPod := pod("b", running, active("4")).Pod

	type state struct {
		Services map[string]string
		Slices   map[string][]string
		Pods     map[string]string
	}
	stateIn := func(p *Plan) state {
		s := state{map[string]string{}, map[string][]string{}, map[string]string{}}
		for _, m := range p.members {
			s.Services[m.Name] = m.Annotations[api.AnnotationLeaseTransitions]
			for _, own := range m.Slices {
				s.Slices[m.Name] = append(s.Slices[m.Name], own.Name+" lists "+string(own.Endpoints[0].TargetRef.UID))
			}
		}
		for _, pod := range p.pods {
			s.Pods[pod.Name] = pod.Labels[api.LabelDesignation]
		}
		return s
	}
	before := func() state {
		return state{
			Services: map[string]string{"web": "4", "db": "4"},
			Slices:   map[string][]string{"web": {"web-master-ipv4 lists uid-b"}},
			Pods:     map[string]string{"a": "active", "b": "standby"},
		}
	}
	tests := map[string]struct {
		change Change
		result runtime.Object
		want   func(*state)
	}{
		"a Service that was patched takes the place of the one that was read": {
			Change{Kind: KindService, Name: "db"}, changedService, func(s *state) { s.Services["db"] = "5" },
		},
		"a pod that was patched takes the place of the one that was read": {
			Change{Kind: KindPod, Name: "b"}, changedPod, func(s *state) { s.Pods["b"] = "active" },
		},
		"a pod that is gone leaves the plan": {
			Change{Kind: KindPod, Name: "a"}, nil, func(s *state) { delete(s.Pods, "a") },
		},
		"a pod that the plan does not have changes nothing": {
			Change{Kind: KindPod, Name: "c"}, pod("c").Pod, func(*state) {},
		},
		"a slice that was created is added to its Service": {
			Change{Kind: KindEndpointSlice, Name: "db-master-ipv4"}, own("db", "a"), func(s *state) { s.Slices["db"] = []string{"db-master-ipv4 lists uid-a"} },
		},
		"a slice that was written takes the place of the one that was read": {
			Change{Kind: KindEndpointSlice, Name: "web-master-ipv4"}, own("web", "a"), func(s *state) { s.Slices["web"] = []string{"web-master-ipv4 lists uid-a"} },
		},
		"a slice that was deleted leaves its Service": {
			Change{Kind: KindEndpointSlice, Name: "web-master-ipv4"}, nil, func(s *state) { delete(s.Slices, "web") },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			members, pods := services{web, db}, marked()
			plan := NewPlan(Assignment{"uid-a", 4}, members, pods)
			plan.Applied(test.change, test.result)
			want := before()
			test.want(&want)
			if diff := cmp.Diff(want, stateIn(plan)); diff != "" {
				t.Errorf("the plan (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before(), stateIn(NewPlan(Assignment{"uid-a", 4}, members, pods))); diff != "" {
				t.Errorf("what was observed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPod(t *testing.T) {
	plan := NewPlan(Assignment{"uid-a", 4}, services{service(api.RoutingSelector, "uid-a", "4")}, marked())
	if pod := plan.Pod("uid-b"); pod == nil || pod.Name != "b" {
		t.Errorf("the pod with the UID of b is %v", pod)
	}
	if pod := plan.Pod("uid-c"); pod != nil {
		t.Errorf("there is a pod with the UID of c: %v", pod)
	}
	plan.Applied(podPatch("b", nil, nil), nil)
	if pod := plan.Pod("uid-b"); pod != nil {
		t.Errorf("the pod b is gone, but there is %v", pod)
	}
}
