package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	web   = types.NamespacedName{Namespace: "default", Name: "web"}
)

// service is annotated, takes part in the election web and selects app=web; each is
// younger than those whose names come before.
func service(name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(start.Add(time.Duration(name[0]) * time.Hour)),
			Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby, api.AnnotationLeaseName: "web"},
		},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func asking(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func selecting(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Selector[key] = value }
}

// pod is labelled app=web and Ready.
func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(start),
			Labels: map[string]string{"app": "web"}, Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{NodeName: "node-of-" + name},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(start.Add(time.Minute))},
		}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func labelled(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[key] = value }
}

func annotated(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations[key] = value }
}

// refused makes a Service one that cannot be served.
func refused(s *corev1.Service) { asking(api.AnnotationServiceMode, "x")(s) }

func heldBy(uid string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{api.AnnotationHolderUID: uid}}}
}

// recordedBy is a Lease that is held by the pod in the epoch, and has the record; empty for none.
func recordedBy(uid string, epoch int32, record string) *coordinationv1.Lease {
	l := heldBy(uid)
	l.Spec.LeaseTransitions = &epoch
	if record != "" {
		l.Annotations[api.AnnotationRecord] = record
	}
	return l
}

// looked is an observation of the election web at now, without slices, nodes and probes.
func looked(l *coordinationv1.Lease, services []*corev1.Service, pods []*corev1.Pod) *Observation {
	return Look(Inputs{Key: web, Now: now, Lease: l, Services: services, Pods: pods})
}

// seen is an observation, in names.
type seen struct {
	// Members have a "/" if they are Apart, and a "?" and the routing that they get if they are
	// Contested.
	Services, Members []string
	// Pods have a "-" if they are no candidates, a "+" if they are kept all the same, and a "!"
	// if another election designates them.
	Pods     []string
	Problems map[string][]api.Problem
}

func headless(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }

func TestLook(t *testing.T) {
	const (
		differing = "DifferingSettings"
		noCommon  = "NoCommonCandidate"
		overlap   = "OverlappingElection"
	)
	apart := func(from string) []api.Problem {
		return []api.Problem{{Reason: noCommon, Message: "this Service shares the Lease web, but selects no pod that the Service " + from +
			" selects, so it has no endpoint; let it select the same pods, or set another qoqo.dev/lease-name"}}
	}
	overlapping := func(with string) api.Problem {
		return api.Problem{Reason: overlap, Message: "the Service " + with + " also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: " + with + " on this Service"}
	}
	byLabel := selecting(api.LabelDesignation, api.DesignationActive)
	other := func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseName) }
	// Package api says what is wrong with a single Service or pod.
	_, unknownMode, _ := api.Parse(service("a", refused))
	_, notBoolean := api.Candidate(pod("web-0", annotated(api.AnnotationCandidate, "no")))
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		services []*corev1.Service
		pods     []*corev1.Pod
		want     seen
	}{
		"the Services of the election are seen, the oldest first, and no others": {
			services: []*corev1.Service{service("b"), service("c", other), service("a")},
			want:     seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}},
		},
		"of Services of the same age the first by name comes first": {
			services: []*corev1.Service{service("ab"), service("aa")},
			want:     seen{Services: []string{"aa", "ab"}, Members: []string{"aa", "ab"}},
		},
		"a Service that cannot be served is no member": {
			services: []*corev1.Service{service("a", refused), service("b")}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{
				Services: []string{"a", "b"}, Members: []string{"b"}, Pods: []string{"web-0"},
				Problems: map[string][]api.Problem{"a": unknownMode},
			},
		},
		"without members pods do not matter": {
			services: []*corev1.Service{service("b", other)}, pods: []*corev1.Pod{pod("web-0")},
		},

		"the pods that all members select are candidates": {
			services: []*corev1.Service{service("a"), service("b", selecting("tier", "db"))}, pods: []*corev1.Pod{pod("web-0"), pod("web-1", labelled("tier", "db"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Pods: []string{"web-1"}},
		},
		"the holder matters, whoever selects it": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("a")}, pods: []*corev1.Pod{pod("web-0", labelled("app", "db")), pod("web-1", labelled("app", "db"))},
			want: seen{Services: []string{"a"}, Members: []string{"a"}, Pods: []string{"-web-0"}},
		},
		"a pod that is marked matters if a member selects it": {
			services: []*corev1.Service{service("a"), service("b", selecting("tier", "db"))},
			pods: []*corev1.Pod{
				pod("web-0", labelled("tier", "db")), pod("web-1", annotated(api.AnnotationLeaseTransitions, "4")), pod("web-2", labelled("app", "db"), annotated(api.AnnotationLeaseTransitions, "4")),
			},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Pods: []string{"web-0", "-web-1"}},
		},
		"a headless Service that gives the pods their names takes those of the standbys": {
			services: []*corev1.Service{service("a", headless), service("b", headless), service("c")},
			pods:     []*corev1.Pod{pod("web-0", func(p *corev1.Pod) { p.Spec.Subdomain = "a" }), pod("web-1", func(p *corev1.Pod) { p.Spec.Subdomain = "c" })},
			want: seen{Services: []string{"a", "b", "c"}, Members: []string{"a", "b", "c"}, Pods: []string{"web-0", "web-1"}, Problems: map[string][]api.Problem{
				"a": {{Reason: api.ReasonGoverningService, Message: "this headless Service gives its pods their DNS names, such as POD.a, and the standbys have lost theirs; leave it plain, and annotate another Service over the same pods"}},
			}},
		},
		"a pod that says itself that it was the holder matters": {
			services: []*corev1.Service{service("a")},
			pods: []*corev1.Pod{
				pod("web-0", labelled("app", "db"), annotated(api.AnnotationLeaseTransitions, "4"), annotated(api.AnnotationWitness, "uid-web-0@4/web")),
				pod("web-1", labelled("app", "db"), annotated(api.AnnotationLeaseTransitions, "4"), annotated(api.AnnotationWitness, "uid-web-1@4/other")),
				pod("web-2", labelled("app", "db"), annotated(api.AnnotationLeaseTransitions, "4"), annotated(api.AnnotationWitness, "uid-web-0@4/web")),
			},
			want: seen{Services: []string{"a"}, Members: []string{"a"}, Pods: []string{"-web-0"}},
		},

		"a member asks for something that the oldest does not": {
			services: []*corev1.Service{service("b", asking(api.AnnotationFailoverDelay, "1s"), asking(api.AnnotationPrefer, "tier=fast")), service("a"), service("c")},
			want: seen{Services: []string{"a", "b", "c"}, Members: []string{"a", "b", "c"}, Problems: map[string][]api.Problem{
				"b": {{Reason: differing, Message: "this Service shares the Lease web with the Service a, whose settings apply, but differ in qoqo.dev/prefer, qoqo.dev/failover-delay; set them there"}},
			}},
		},
		"a member asks for something else than the oldest": {
			services: []*corev1.Service{service("a", asking(api.AnnotationFailoverDelay, "1s")), service("b", asking(api.AnnotationFailoverDelay, "0s"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Problems: map[string][]api.Problem{
				"b": {{Reason: differing, Message: "this Service shares the Lease web with the Service a, whose settings apply, but differ in qoqo.dev/failover-delay; set them there"}},
			}},
		},
		"a member asks for the same as the oldest": {
			services: []*corev1.Service{service("a", asking(api.AnnotationFailoverDelay, "60s")), service("b", asking(api.AnnotationFailoverDelay, "1m"))},
			want:     seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}},
		},
		"a member asks for nothing": {
			services: []*corev1.Service{service("a", asking(api.AnnotationFailoverDelay, "1s")), service("b")},
			want:     seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}},
		},
		"the settings of the Service with the Lease's name apply, however young it is": {
			services: []*corev1.Service{service("a", asking(api.AnnotationFailoverDelay, "1s")), service("b"), service("web", asking(api.AnnotationFailoverDelay, "2s"))},
			want: seen{Services: []string{"a", "b", "web"}, Members: []string{"web", "a", "b"}, Problems: map[string][]api.Problem{
				"a": {{Reason: differing, Message: "this Service shares the Lease web with the Service web, whose settings apply, but differ in qoqo.dev/failover-delay; set them there"}},
			}},
		},
		"the settings of the Service with the Lease's name apply even if that is not served": {
			services: []*corev1.Service{service("web", refused), service("a", refused), service("b"), service("c", asking(api.AnnotationFailoverDelay, "1s"))},
			want: seen{Services: []string{"a", "b", "c", "web"}, Members: []string{"b", "c"}, Problems: map[string][]api.Problem{
				"a":   unknownMode,
				"c":   {{Reason: differing, Message: "this Service shares the Lease web with the Service web, whose settings apply, but differ in qoqo.dev/failover-delay; set them there"}},
				"web": unknownMode,
			}},
		},
		"a member asks for a pause that the oldest does not ask for": {
			services: []*corev1.Service{service("a"), service("b", asking(api.AnnotationPaused, "true"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Problems: map[string][]api.Problem{
				"b": {{Reason: differing, Message: "this Service shares the Lease web with the Service a, whose settings apply, but differ in qoqo.dev/paused; set them there"}},
			}},
		},
		"routing is each member's own business": {
			services: []*corev1.Service{service("a"), service("b", asking(api.AnnotationRouting, "endpointslice"))},
			want:     seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}},
		},

		"a member that selects no pod of the others stands apart": {
			services: []*corev1.Service{service("a"), service("b", selecting("tier", "db"))}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "/b"}, Pods: []string{"web-0"}, Problems: map[string][]api.Problem{"b": apart("a")}},
		},
		"a member with the Lease's name that does not select the holder stands apart": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("a"), service("web", selecting("app", "db"))},
			pods: []*corev1.Pod{pod("web-0"), pod("db-0", labelled("app", "db"))},
			want: seen{Services: []string{"a", "web"}, Members: []string{"a", "/web"}, Pods: []string{"web-0"}, Problems: map[string][]api.Problem{"web": apart("a")}},
		},
		"a member with the Lease's name leads again once the holder is gone": {
			lease: heldBy("uid-gone"), services: []*corev1.Service{service("a"), service("web", selecting("app", "db"))},
			pods: []*corev1.Pod{pod("web-0"), pod("db-0", labelled("app", "db"))},
			want: seen{Services: []string{"a", "web"}, Members: []string{"web", "/a"}, Pods: []string{"db-0"}, Problems: map[string][]api.Problem{"a": apart("web")}},
		},
		"a holder that not all members select is kept for those that do": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("a"), service("b", selecting("tier", "db"))},
			pods: []*corev1.Pod{pod("web-0"), pod("web-1", labelled("tier", "db"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Pods: []string{"+web-0", "web-1"}},
		},
		"a pod that an older election selects only in part is designated by the younger": {
			services: []*corev1.Service{service("a", other), service("b"), service("c", selecting("tier", "db"))},
			pods:     []*corev1.Pod{pod("web-0", labelled("tier", "db")), pod("web-1", annotated(api.AnnotationLeaseTransitions, "4"))},
			want: seen{Services: []string{"b", "c"}, Members: []string{"b", "c"}, Pods: []string{"!web-0", "-!web-1"}, Problems: map[string][]api.Problem{
				"b": {{Reason: overlap, Message: "the Service a also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: a on this Service"}},
				"c": {{Reason: overlap, Message: "the Service a also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: a on this Service"}},
			}},
		},
		"a pod that no other member selects is designated by a younger election": {
			services: []*corev1.Service{service("a"), service("b", selecting("tier", "db")), service("c", other)},
			pods:     []*corev1.Pod{pod("web-0", annotated(api.AnnotationLeaseTransitions, "4")), pod("web-1", labelled("tier", "db"))},
			want:     seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Pods: []string{"-!web-0", "web-1"}},
		},
		"there is no pod that any member selects, but one may come": {
			services: []*corev1.Service{service("a"), service("b", selecting("tier", "db"))}, pods: []*corev1.Pod{pod("db-0", labelled("app", "db"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}},
		},
		"there is no pod that a single member selects": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("a")}, pods: []*corev1.Pod{pod("web-0", labelled("app", "db"))},
			want: seen{Services: []string{"a"}, Members: []string{"a"}, Pods: []string{"-web-0"}},
		},

		"an older Service selects the pods for another election": {
			services: []*corev1.Service{service("b"), service("c"), service("a", other)}, pods: []*corev1.Pod{pod("web-0"), pod("web-1")},
			want: seen{Services: []string{"b", "c"}, Members: []string{"b", "c"}, Pods: []string{"!web-0", "!web-1"}, Problems: map[string][]api.Problem{
				"b": {{Reason: overlap, Message: "the Service a also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: a on this Service"}},
				"c": {{Reason: overlap, Message: "the Service a also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: a on this Service"}},
			}},
		},
		"a Service by label selects the standby of an older election, and its own": {
			services: []*corev1.Service{service("b", byLabel), service("a", other, selecting("tier", "db"))},
			pods:     []*corev1.Pod{pod("web-0"), pod("web-1", labelled("tier", "db"))},
			want: seen{Services: []string{"b"}, Members: []string{"?selector b"}, Pods: []string{"web-0", "!web-1"}, Problems: map[string][]api.Problem{
				"b": {overlapping("a")},
			}},
		},
		"a Service by label selects a pod that its election does not, and another's does": {
			services: []*corev1.Service{service("b", selecting("tier", "db")), service("c", byLabel), service("d", other)},
			pods:     []*corev1.Pod{pod("web-0"), pod("web-1", labelled("tier", "db"))},
			want: seen{Services: []string{"b", "c"}, Members: []string{"b", "?selector c"}, Pods: []string{"web-1"}, Problems: map[string][]api.Problem{
				"b": {overlapping("d")}, "c": {overlapping("d")},
			}},
		},
		"a Service that leaves the label selects the pod of another election": {
			services: []*corev1.Service{service("b", byLabel, asking(api.AnnotationRouting, "endpointslice")), service("a", other)},
			pods:     []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"?endpointslice b"}, Pods: []string{"!web-0"}, Problems: map[string][]api.Problem{
				"b": {overlapping("a")},
			}},
		},
		"a Service by label is the older of two": {
			services: []*corev1.Service{service("b", byLabel), service("c", other)}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"b"}, Pods: []string{"web-0"}},
		},
		"a younger Service of another election does not matter": {
			services: []*corev1.Service{service("b"), service("c", other)}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"b"}, Pods: []string{"web-0"}},
		},
		"an older Service that is not served does not matter": {
			services: []*corev1.Service{service("b"), service("a", other, refused)}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"b"}, Pods: []string{"web-0"}},
		},
		"an older Service that selects other pods does not matter": {
			services: []*corev1.Service{service("b"), service("a", other, selecting("tier", "db"))}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"b"}, Pods: []string{"web-0"}},
		},
		"a holder that is only another election's candidate is no overlap": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("b", selecting("tier", "db")), service("a", other)}, pods: []*corev1.Pod{pod("web-0")},
			want: seen{Services: []string{"b"}, Members: []string{"b"}, Pods: []string{"-!web-0"}},
		},

		"a candidate's annotation says something else than whether it may become master": {
			services: []*corev1.Service{service("a"), service("b")}, pods: []*corev1.Pod{pod("web-0", annotated(api.AnnotationCandidate, "no")), pod("web-1", annotated(api.AnnotationCandidate, "false"))},
			want: seen{Services: []string{"a", "b"}, Members: []string{"a", "b"}, Pods: []string{"web-0", "web-1"}, Problems: map[string][]api.Problem{
				"a": {*notBoolean},
				"b": {*notBoolean},
			}},
		},
		"the annotation of a pod that is no candidate does not matter": {
			lease: heldBy("uid-web-0"), services: []*corev1.Service{service("a")}, pods: []*corev1.Pod{pod("web-0", labelled("app", "db"), annotated(api.AnnotationCandidate, "no"))},
			want: seen{Services: []string{"a"}, Members: []string{"a"}, Pods: []string{"-web-0"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := looked(test.lease, test.services, test.pods)
			got := seen{}
			for _, s := range o.Services {
				got.Services = append(got.Services, s.Name)
			}
			for _, m := range o.Members {
				name := m.Name
				if m.Apart {
					name = "/" + name
				}
				if m.Contested {
					name = "?" + string(m.Settings.Routing) + " " + name
				}
				got.Members = append(got.Members, name)
			}
			for _, p := range o.Pods {
				name := p.Name
				if p.Elsewhere {
					name = "!" + name
				}
				switch {
				case p.Kept:
					name = "+" + name
				case p.Unselected:
					name = "-" + name
				}
				got.Pods = append(got.Pods, name)
			}
			for uid, problems := range o.Problems {
				if len(problems) > 0 {
					if got.Problems == nil {
						got.Problems = map[string][]api.Problem{}
					}
					got.Problems[string(uid)[len("uid-"):]] = problems
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("observation (-want +got):\n%s", diff)
			}
		})
	}
}
