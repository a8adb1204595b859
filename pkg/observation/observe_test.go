package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

func TestObservers(t *testing.T) {
	t.Parallel()
	observes := asking(api.AnnotationServiceMode, api.ModeObserve)
	refused := asking(api.AnnotationServiceMode, "actve-standby")
	paused := asking(api.AnnotationPaused, "true")
	tests := map[string]struct {
		services           []*corev1.Service
		members, observers []string
		observed, paused   bool
		candidates         int
	}{
		"a Service that observes alone has an election": {[]*corev1.Service{service("web", observes, paused, asking(api.AnnotationOnDemote, api.OnDemoteDelete))}, []string{"web"}, nil, true, true, 2},
		"Services that all observe share an election": {
			[]*corev1.Service{service("a", observes), service("web", observes, selecting("tier", "fast"))}, []string{"web", "a"}, nil, true, false, 1,
		},
		"a Service that observes has no say beside one that takes part": {
			[]*corev1.Service{service("a"), service("web", observes, paused, selecting("tier", "fast"))}, []string{"a"}, []string{"web"}, false, false, 2,
		},
		"a Service that observes has no say beside one that is refused": {
			[]*corev1.Service{service("a", refused), service("web", observes)}, nil, []string{"web"}, false, false, 0,
		},
		"an election is observed also if the Service that observes cannot be served": {
			[]*corev1.Service{service("web", observes, func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName })}, nil, nil, true, false, 0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods := []*corev1.Pod{pod("web-0"), pod("web-1", func(p *corev1.Pod) { p.Labels["tier"] = "fast" })}
			o := Look(Inputs{Key: web, Now: now, Services: test.services, Pods: pods})
			if o.Terms().DeleteDemoted {
				t.Errorf("the Lease may record a pod that must be deleted")
			}
			names := func(all []Member) (names []string) {
				for _, m := range all {
					names = append(names, m.Name)
				}
				return names
			}
			if diff := cmp.Diff(test.members, names(o.Members)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.observers, names(o.Observers)); diff != "" {
				t.Errorf("observers (-want +got):\n%s", diff)
			}
			candidates := 0
			for _, c := range o.View().Candidates {
				if !c.Unselected {
					candidates++
				}
			}
			if o.Observed() != test.observed || o.Settings().Paused != test.paused || candidates != test.candidates {
				t.Errorf("observed %v, paused %v, %d candidates; want %v, %v, %d", o.Observed(), o.Settings().Paused, candidates, test.observed, test.paused, test.candidates)
			}
		})
	}
}

// A Service that observes designates no pod of another election, even if it is older.
func TestAServiceThatObservesDesignatesNoPod(t *testing.T) {
	t.Parallel()
	own := asking(api.AnnotationLeaseName, "other")
	o := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{service("a", own, asking(api.AnnotationServiceMode, api.ModeObserve)), service("web")}, Pods: []*corev1.Pod{pod("web-0")}})
	if len(o.Pods) != 1 || o.Pods[0].Elsewhere || len(o.Problems["uid-web"]) > 0 {
		t.Errorf("pods %+v and problems %v, want a pod of this election and no problems", o.Pods, o.Problems)
	}
}

func TestSaysOfAServiceThatObserves(t *testing.T) {
	t.Parallel()
	observing, active := service("a", asking(api.AnnotationServiceMode, api.ModeObserve), selecting("tier", "fast")), service("web")
	o := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{observing, active}, Pods: []*corev1.Pod{pod("web-0"), pod("web-1", func(p *corev1.Pod) { p.Labels["tier"] = "fast" })}})
	const left = "; the Service and its pods are left as they are (qoqo.dev/service-mode: observe)"
	elects := func(name string) election.Decision {
		return election.Decision{Action: election.Elect, Reason: election.FirstEligible, Holder: name, HolderUID: pod(name).UID, Epoch: 1}
	}
	tests := map[string]struct {
		d    election.Decision
		of   *corev1.Service
		want string
	}{
		"a Service that takes part is not told of it": {elects("web-1"), active, "web-1 is the first master, in epoch 1"},
		"a Service that observes would route to it":   {elects("web-1"), observing, "web-1 is the first master, in epoch 1; would route to web-1" + left},
		"a Service that does not select the master would route to no pod": {
			elects("web-0"), observing, "web-0 is the first master, in epoch 1; would route to no pod, because this Service does not select the master" + left,
		},
		"no pod is eligible": {
			election.Decision{Action: election.Hold, Reason: election.AwaitingEligible}, observing, "no pod is eligible yet, so there is no master" + left,
		},
		"what is deleted for those that take part is told as it is": {
			election.Decision{Action: election.Stop, Reason: election.HolderNotReady, Holder: "web-1", HolderUID: "uid-web-1", Ineligible: election.HolderNotReady},
			observing,
			"deleting web-1: it must stop before another pod can become master (qoqo.dev/handover); reason: web-1 is not Ready",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := o.Says(test.d, test.of); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// What Services that observe ask for is not remembered for those that take part in the election later.
func TestNothingIsRememberedOfServicesThatObserve(t *testing.T) {
	t.Parallel()
	asks := []func(*corev1.Service){asking(api.AnnotationHandover, api.HandoverAfterTermination), asking(api.AnnotationLeaseDuration, "15s")}
	observing := service("a", append(asks, asking(api.AnnotationServiceMode, api.ModeObserve))...)
	alone := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{observing}, Pods: []*corev1.Pod{pod("web-0")}})
	l, _ := lease.Next(lease.Begin(alone.Terms()), alone.Terms(), election.Decide(alone.View()), false, now)
	if lease.Duration(l) != 15*time.Second {
		t.Errorf("the Lease has the duration %v, want the one that the Service asks for", lease.Duration(l))
	}
	if again := Look(Inputs{Key: web, Now: now, Lease: l, Services: []*corev1.Service{observing}, Pods: []*corev1.Pod{pod("web-0")}}); again.View().Lease.Outdated {
		t.Errorf("the Lease is outdated once it is written")
	}
	o := Look(Inputs{Key: web, Now: now, Lease: l, Services: []*corev1.Service{observing, service("b")}, Pods: []*corev1.Pod{pod("web-0")}})
	if s := o.Settings(); s.AfterTermination || s.LeaseDuration != 0 || len(o.Problems["uid-b"]) > 0 {
		t.Errorf("handover after termination %v, duration %v, problems %v; want none of a Service that observes", s.AfterTermination, s.LeaseDuration, o.Problems["uid-b"])
	}
}
