package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func TestReleaseService(t *testing.T) {
	tests := map[string]struct {
		member observation.Member
		marked bool
		want   Change
	}{
		"a Service that the controller has written to loses both keys": {
			member: service(api.RoutingSelector, "uid-a", "4"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service that was detached is published": {
			member: service(api.RoutingEndpointSlice, "", "4", detached), marked: true,
			want: servicePatch(keys{api.LabelRouting: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service that the controller has not written to keeps a user's routing key": {
			member: service(api.RoutingEndpointSlice, "", "", detached),
			want:   servicePatch(nil, nil),
		},
		"a Service whose stamp cannot be read loses both keys": {
			member: service(api.RoutingSelector, "uid-a", "x"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service that has only a stamp loses it": {
			member: service(api.RoutingSelector, "", "4"), marked: true,
			want: servicePatch(nil, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service without the stamp loses the identity key": {
			member: service(api.RoutingSelector, "uid-a", ""),
			want:   servicePatch(keys{api.LabelPodUID: nil}, nil),
		},
		"a Service without the stamp keeps the constant key": {
			member: service(api.RoutingEndpointSlice, "", "", detached),
			want:   servicePatch(nil, nil),
		},
		"a Service that migrates loses the label": {
			member: service(api.RoutingSelector, "uid-a", "4", followed("4")), marked: true,
			want: migratingPatch(nil, keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
		"a Service keeps a user's designation key": {
			member: service(api.RoutingLabel, "uid-a", "4"), marked: true,
			want: servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := observation.MarkedService(test.member.Service); got != test.marked {
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
		pod    observation.Pod
		marked bool
		want   Change
	}{
		"a master loses all marks": {
			pod: pod("a", active("4")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil, api.AnnotationDeletionCost: nil}),
		},
		"a standby loses all marks": {
			pod: pod("a", standby("4")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}),
		},
		"a standby of routing by label loses its marks": {
			pod: pod("a", designated("standby"), stamped("4")), marked: true,
			want: podPatch("a", keys{api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}),
		},
		"a pod that is only identified loses that alone": {
			pod: pod("a", identified, designated("active")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil}, nil),
		},
		"a user's deletion cost stays": {
			pod: pod("a", active("4"), annotated(api.AnnotationDeletionCost, "-5")), marked: true,
			want: podPatch("a", keys{api.LabelPodUID: nil, api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}),
		},
		"the predecessor's designation stays": {
			pod:  pod("a", designated("active"), annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)),
			want: podPatch("a", nil, nil),
		},
		"a pod without marks has nothing to lose": {
			pod:  pod("a"),
			want: podPatch("a", nil, nil),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := observation.MarkedPod(test.pod.Pod); got != test.marked {
				t.Errorf("marked: %v, want %v", got, test.marked)
			}
			if diff := cmp.Diff(test.want, ReleasePod(test.pod.Pod), emptyIsNil); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRelease(t *testing.T) {
	const selector, slice = api.RoutingSelector, api.RoutingEndpointSlice
	optedIn := func(m observation.Member) *corev1.Service {
		m.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
		return m.Service
	}
	optedOut := func(m observation.Member) *corev1.Service { return m.Service }
	changed := func(m observation.Member, change func(*corev1.Service)) *corev1.Service {
		change(m.Service)
		return m.Service
	}
	all := func(pods ...observation.Pod) (all []*corev1.Pod) {
		for _, p := range pods {
			all = append(all, p.Pod)
		}
		return all
	}
	managed := func(by string, s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		s.Name, s.Labels[discoveryv1.LabelManagedBy] = "web-abcde", by
		return s
	}
	builtIn := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice { return managed(observation.BuiltIn, s) }
	ofDB := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		s.Name, s.Labels[discoveryv1.LabelServiceName] = "db-master-ipv4", "db"
		return s
	}
	app := func(app string) func(*observation.Pod) { return labelled("app", app) }
	terminating := func(p *observation.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	own := ownSlice("a", "4")
	released := servicePatch(keys{api.LabelRouting: nil}, keys{api.AnnotationLeaseTransitions: nil})
	pods := all(pod("a", running), pod("b", running))
	selectorBy := func(manager string, s *corev1.Service) *corev1.Service {
		s.ManagedFields = []metav1.ManagedFieldsEntry{
			{Manager: api.ManagedBy, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{}}`)}, {Manager: manager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:selector":{}}}`)},
		}
		return s
	}
	narrowed := func(s *corev1.Service) *corev1.Service {
		s.Name, s.Spec.Selector["tier"] = "fast", "fast"
		return s
	}
	detachedService := func() *corev1.Service { return optedOut(service(slice, "", "4", detached)) }

	tests := map[string]struct {
		left     Leftovers
		denied   []string
		services []Change
		rest     []Change
		waits    bool
	}{
		"nothing is taken away where nothing is left": {
			left: Leftovers{[]*corev1.Service{optedOut(service(selector, "", ""))}, pods, []*discoveryv1.EndpointSlice{builtIn(ownSlice("a", "4"))}, nil},
		},
		"Services are released first, then pods, and slices last": {
			left: Leftovers{
				[]*corev1.Service{detachedService()},
				all(pod("a", running, stamped("4"), designated("active")), pod("b", running, identified)),
				[]*discoveryv1.EndpointSlice{ofDB(ownSlice("b", "4"))},
				nil,
			},
			services: []Change{released}, rest: []Change{podPatch("a", keys{api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}), podPatch("b", keys{api.LabelPodUID: nil}, nil), sliceRemoval(ofDB(ownSlice("b", "4")))},
		},
		"what belongs to a Service that is annotated stays": {
			left: Leftovers{
				[]*corev1.Service{optedIn(service(slice, "", "4", detached))},
				all(pod("a", running, active("4")), pod("b", running, standby("4"))),
				[]*discoveryv1.EndpointSlice{own},
				nil,
			},
		},
		"what belongs to a Service that is annotated and refused stays": {
			left: Leftovers{
				[]*corev1.Service{changed(service(slice, "", "4", detached), func(s *corev1.Service) { s.Annotations[api.AnnotationServiceMode] = "typo" })},
				all(pod("a", running, active("4"))),
				[]*discoveryv1.EndpointSlice{own},
				nil,
			},
		},
		"a pod that no annotated Service selects loses its marks": {
			left: Leftovers{[]*corev1.Service{optedIn(service(selector, "uid-a", "4"))}, all(pod("a", running, active("4")), pod("b", identified, app("db"))), nil, nil},
			rest: []Change{podPatch("b", keys{api.LabelPodUID: nil}, nil)},
		},
		"slices of a Service that is gone go at once": {
			left: Leftovers{nil, pods, []*discoveryv1.EndpointSlice{own}, nil},
			rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices wait while Kubernetes lists no pod": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, pods, []*discoveryv1.EndpointSlice{own}, nil},
			services: []Change{released}, waits: true,
		},
		"slices wait while Kubernetes lists no ready pod": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, pods, []*discoveryv1.EndpointSlice{own, builtIn(unready(ownSlice("a", "4")))}, nil},
			services: []Change{released}, waits: true,
		},
		"slices wait while Kubernetes lists only another Service's pods": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, pods, []*discoveryv1.EndpointSlice{own, builtIn(ofDB(ownSlice("b", "4")))}, nil},
			services: []Change{released}, waits: true,
		},
		"slices that wait hold up no others": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, pods, []*discoveryv1.EndpointSlice{own, ofDB(ownSlice("b", "4"))}, nil},
			services: []Change{released}, rest: []Change{sliceRemoval(ofDB(ownSlice("b", "4")))}, waits: true,
		},
		"slices wait while Kubernetes lists a pod from before the Service is released": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, pods, []*discoveryv1.EndpointSlice{own, builtIn(ownSlice("b", "4"))}, nil},
			services: []Change{released}, waits: true,
		},
		"slices go once Kubernetes lists a ready pod": {
			left: Leftovers{[]*corev1.Service{optedOut(service(selector, "", ""))}, pods, []*discoveryv1.EndpointSlice{own, builtIn(ownSlice("b", "4"))}, nil},
			rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices do not wait for pods that are not ready": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, all(pod("a", running, notReady)), []*discoveryv1.EndpointSlice{own}, nil},
			services: []Change{released}, rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices do not wait for pods that are terminating": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, all(pod("a", running, terminating)), []*discoveryv1.EndpointSlice{own}, nil},
			services: []Change{released}, rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices do not wait for pods that the Service does not select": {
			left:     Leftovers{[]*corev1.Service{detachedService()}, all(pod("a", running, app("db"))), []*discoveryv1.EndpointSlice{own}, nil},
			services: []Change{released}, rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices of a Service without a selector do not wait": {
			left: Leftovers{[]*corev1.Service{optedOut(service(slice, "", "", selectorless))}, pods, []*discoveryv1.EndpointSlice{own}, nil},
			rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices of a Service whose selector is the controller's alone do not wait": {
			left: Leftovers{
				[]*corev1.Service{changed(service(slice, "", "4", detached), func(s *corev1.Service) { delete(s.Spec.Selector, "app") })},
				pods,
				[]*discoveryv1.EndpointSlice{own},
				nil,
			},
			services: []Change{released}, rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"slices of a Service that became an ExternalName do not wait": {
			left: Leftovers{
				[]*corev1.Service{changed(service(slice, "", "4", detached), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName })},
				pods,
				[]*discoveryv1.EndpointSlice{own},
				nil,
			},
			services: []Change{released}, rest: []Change{sliceRemoval(ownSlice("a", "4"))},
		},
		"a Service without the stamp loses the constant key if there are own slices": {
			left:     Leftovers{[]*corev1.Service{optedOut(service(slice, "", "", detached))}, pods, []*discoveryv1.EndpointSlice{own}, nil},
			services: []Change{servicePatch(keys{api.LabelRouting: nil}, nil)}, waits: true,
		},
		"pods that a Service which cannot be released selects keep their marks, and others do not": {
			left:   Leftovers{[]*corev1.Service{optedOut(service(selector, "uid-a", "4"))}, all(pod("a", identified), pod("b", identified, app("db"))), nil, nil},
			denied: []string{"web"}, services: []Change{servicePatch(keys{api.LabelPodUID: nil}, keys{api.AnnotationLeaseTransitions: nil})},
			rest: []Change{podPatch("b", keys{api.LabelPodUID: nil}, nil)},
		},
		"slices of a Service that cannot be released stay, and others do not": {
			left:   Leftovers{[]*corev1.Service{detachedService()}, nil, []*discoveryv1.EndpointSlice{own, ofDB(ownSlice("b", "4"))}, nil},
			denied: []string{"web"}, services: []Change{released}, rest: []Change{sliceRemoval(ofDB(ownSlice("b", "4")))},
		},
		"a former master that an election which goes on may wait for keeps what tells of that": {
			left: Leftovers{
				[]*corev1.Service{optedIn(service(api.RoutingLabel, "", ""))},
				all(pod("a", app("db"), stamped("4"), annotated(api.AnnotationWitness, "uid-a@4/web")), pod("b", app("db"), stamped("4"), annotated(api.AnnotationWitness, "uid-b@4/gone"))), nil, nil,
			},
			rest: []Change{podPatch("b", nil, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil})},
		},
		"the last master keeps the designation that a user's selector asks for": {
			left: Leftovers{[]*corev1.Service{optedOut(service(api.RoutingLabel, "", ""))}, all(pod("a", designated("active"), stamped("4")), pod("b", designated("standby"), stamped("4"))), nil, nil},
			rest: []Change{
				podPatch("a", nil, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}),
				podPatch("b", keys{api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil}),
			},
		},
		"the last master loses the designation if an election goes on among the pods that a user's selector asks for": {
			left: Leftovers{
				[]*corev1.Service{optedOut(service(api.RoutingLabel, "", "")), narrowed(optedIn(service(selector, "uid-b", "5")))},
				all(pod("a", designated("active"), stamped("4")), pod("b", labelled("tier", "fast"))), nil, nil,
			},
			rest: []Change{podPatch("a", keys{api.LabelDesignation: nil}, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil})},
		},
		"the last master keeps the designation beside an election of others": {
			left: Leftovers{
				[]*corev1.Service{optedOut(service(api.RoutingLabel, "", "")), changed(service(selector, "uid-b", "5"), func(s *corev1.Service) {
					s.Name, s.Spec.Selector["app"], s.Annotations[api.AnnotationServiceMode] = "db", "db", api.ModeActiveStandby
				})},
				all(pod("a", designated("active"), stamped("4"))), nil, nil,
			},
			rest: []Change{podPatch("a", nil, keys{api.AnnotationLeaseTransitions: nil, api.AnnotationWitness: nil})},
		},
		"the Lease shows that the key of a Service which has lost its stamp is the controller's": {
			left: Leftovers{
				[]*corev1.Service{optedOut(service(slice, "", "", detached))},
				nil,
				nil,
				[]metav1.OwnerReference{{Kind: "Service", Name: "web", UID: service(slice, "", "").UID}},
			},
			services: []Change{servicePatch(keys{api.LabelRouting: nil}, nil)},
		},
		"the key is the controller's if the controller wrote the selector last": {
			left:     Leftovers{[]*corev1.Service{selectorBy(api.ManagedBy, optedOut(service(slice, "", "", detached)))}, nil, nil, nil},
			services: []Change{servicePatch(keys{api.LabelRouting: nil}, nil)},
		},
		"the key is a user's if the user wrote the selector last": {
			left: Leftovers{[]*corev1.Service{selectorBy("kubectl", optedOut(service(slice, "", "", detached)))}, nil, nil, nil},
		},
		"slices of other managers stay": {
			left: Leftovers{nil, nil, []*discoveryv1.EndpointSlice{builtIn(ownSlice("a", "4")), managed("example.com", ownSlice("b", "4"))}, nil},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.services, test.left.ReleaseServices(), emptyIsNil); diff != "" {
				t.Errorf("changes of Services (-want +got):\n%s", diff)
			}
			rest, waits := test.left.Release(sets.New(test.denied...))
			if diff := cmp.Diff(test.rest, rest, emptyIsNil); diff != "" {
				t.Errorf("other changes (-want +got):\n%s", diff)
			}
			if len(waits) > 0 != test.waits {
				t.Errorf("waits: %v, want %v", waits, test.waits)
			}
		})
	}
}

func TestLeftBy(t *testing.T) {
	tests := map[string]struct {
		member  observation.Member
		follows bool
		want    string
	}{
		"a Service with a selector of its own has all its pods": {member: service(api.RoutingSelector, "uid-a", "4")},
		"a Service that was detached has all its pods":          {member: service(api.RoutingEndpointSlice, "", "4", detached)},
		"a Service without a selector has no endpoints": {
			member: service(api.RoutingEndpointSlice, "", "", selectorless),
			want:   "this Service has opted out and has no selector of its own, so it has no endpoints; give it a selector, such as {app: web}",
		},
		"a Service by label follows the master of those that stay": {member: service(api.RoutingLabel, "", ""), follows: true},
		"a Service without a selector leaves others": {
			member: service(api.RoutingEndpointSlice, "", "", selectorless), follows: true,
			want: "this Service has opted out and has no selector of its own, so it has no endpoints; give it a selector, such as {app: web}",
		},
		"a Service by label has its last master alone": {
			member: service(api.RoutingLabel, "", ""),
			want: "this Service has opted out, but its selector asks for qoqo.dev/pod-designation: active, so the last master stays its only endpoint, " +
				"and no pod follows it; take that key out of the selector",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, found := LeftBy(test.member.Service, test.follows)
			if got.Message != test.want || found != (test.want != "") {
				t.Errorf("found %v: %q, want %q", found, got.Message, test.want)
			}
		})
	}
}

func TestAnnotated(t *testing.T) {
	in, out := service(api.RoutingSelector, "", "").Service, service(api.RoutingSelector, "", "").Service
	in.Annotations[api.AnnotationServiceMode] = "typo"
	all := []*corev1.Service{out, in}
	if diff := cmp.Diff([]*corev1.Service{in}, Leftovers{Services: all}.Annotated()); diff != "" {
		t.Errorf("annotated Services (-want +got):\n%s", diff)
	}
	if all[0] != out || all[1] != in {
		t.Errorf("the leftovers were changed")
	}
}
