package observation

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// readiness is what a pod reports, by the clock of its node.
func readiness(is corev1.ConditionStatus, since time.Time) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: is, LastTransitionTime: metav1.NewTime(since)}}
	}
}

// A replica looks at a pod and at a master, once a minute. What it has seen counts, and the
// stamps of other clocks only before that.
func TestSeen(t *testing.T) {
	const hour = time.Hour
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	type look struct {
		ready    corev1.ConditionStatus
		stamp    time.Time
		acquired time.Time
		epoch    int32
	}
	is := func(stamp time.Time) look { return look{corev1.ConditionTrue, stamp, stamp, 1} }
	isNot := func() look { return look{corev1.ConditionFalse, at(0), at(0), 1} }
	moved := func(l look) look { l.epoch = 2; return l }
	tests := map[string]struct {
		looks           []look
		ready, acquired time.Time
	}{
		"the first look goes by the stamps":                        {[]look{is(at(-60))}, at(-60), at(-60)},
		"a later look still goes by them":                          {[]look{is(at(-60)), is(at(-60))}, at(-60), at(-60)},
		"a stamp in the future counts from the first look":         {[]look{is(at(60)), is(at(60))}, at(0), at(0)},
		"a stamp in a future too far away counts from there too":   {[]look{is(now.AddDate(7000, 0, 0)), is(at(0))}, at(0), at(0)},
		"a missing stamp counts from the first look":               {[]look{is(time.Time{}), is(time.Time{})}, at(0), at(0)},
		"what was seen to begin counts, though the clock is late":  {[]look{isNot(), moved(is(at(1).Add(-hour)))}, at(1), at(1)},
		"what was seen to begin counts, though the clock is early": {[]look{isNot(), moved(is(at(1).Add(hour))), moved(is(at(1).Add(hour)))}, at(1), at(1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := service("a", asking(api.AnnotationPrefer, "tier=fast"), asking(api.AnnotationFailback, "10m"))
			var seen Seen
			var o *Observation
			for i, l := range test.looks {
				held := heldBy("uid-web-1")
				held.Spec = coordinationv1.LeaseSpec{LeaseTransitions: ptr.To(l.epoch), AcquireTime: ptr.To(metav1.NewMicroTime(l.acquired))}
				o = Look(Inputs{Key: web, Now: at(i), Lease: held, Services: []*corev1.Service{s}, Pods: []*corev1.Pod{pod("web-0", readiness(l.ready, l.stamp))}, Seen: seen})
				seen = o.See()
			}
			v := o.View()
			if got := v.Candidates[0].SeenReady; !got.Equal(test.ready) {
				t.Errorf("the pod is Ready since %s, want %s", got, test.ready)
			}
			if got := v.Lease.Acquired; !got.Equal(test.acquired) {
				t.Errorf("the master is master since %s, want %s", got, test.acquired)
			}
		})
	}
}

// A replica looks, once a minute, at the priority of a pod and of the master. It counts for how long
// the pod's has been higher without a break.
func TestHigherPriority(t *testing.T) {
	type look struct {
		pod, master string
		epoch       int32
	}
	for name, test := range map[string]struct {
		looks []look
		// want is at which look it began; -1 if it is not higher.
		want int
	}{
		"it is higher from the first look on":          {[]look{{"2", "1", 1}, {"2", "1", 1}, {"2", "1", 1}}, 0},
		"it counts from when it is higher":             {[]look{{"1", "1", 1}, {"2", "1", 1}, {"3", "1", 1}}, 1},
		"it counts from when the master's is lower":    {[]look{{"2", "2", 1}, {"2", "2", 1}, {"2", "1", 1}}, 2},
		"a break begins anew":                          {[]look{{"2", "1", 1}, {"2", "2", 1}, {"2", "1", 1}}, 2},
		"that both grow is no break":                   {[]look{{"2", "1", 1}, {"9", "8", 1}, {"10", "9", 1}}, 0},
		"it is as high":                                {[]look{{"2", "2", 1}}, -1},
		"it is lower":                                  {[]look{{"2", "1", 1}, {"1", "2", 1}}, -1},
		"neither has a priority":                       {[]look{{"", "", 1}}, -1},
		"the master's is below zero":                   {[]look{{"", "-1", 1}}, 0},
		"it is no number":                              {[]look{{"high", "", 1}}, -1},
		"the master has become master again meanwhile": {[]look{{"2", "1", 1}, {"2", "1", 3}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(i int) time.Time { return now.Add(time.Duration(i) * time.Minute) }
			var seen Seen
			var o *Observation
			for i, l := range test.looks {
				held := heldBy("uid-web-1")
				held.Spec.LeaseTransitions = ptr.To(l.epoch)
				o = Look(Inputs{
					Key: web, Now: at(i), Lease: held, Services: []*corev1.Service{service("a", asking(api.AnnotationFailback, "10m"))}, Seen: seen,
					Pods: []*corev1.Pod{pod("web-0", annotated(api.AnnotationPriority, l.pod)), pod("web-1", annotated(api.AnnotationPriority, l.master))},
				})
				seen = o.See()
			}
			var want time.Time
			if test.want >= 0 {
				want = at(test.want)
			}
			if got := o.View().Candidates[0].HigherSince; !got.Equal(want) {
				t.Errorf("it is higher since %s, want %s", got, want)
			}
		})
	}
}

func TestAPodThatAppearsIsSeenToBegin(t *testing.T) {
	s := service("a", asking(api.AnnotationPrefer, "tier=fast"), asking(api.AnnotationFailback, "10m"))
	first := Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{s}})
	later := Look(Inputs{Key: web, Now: now.Add(time.Minute), Services: []*corev1.Service{s}, Seen: first.See(), Pods: []*corev1.Pod{pod("web-0", readiness(corev1.ConditionTrue, now.Add(-time.Hour)))}})
	if got := later.View().Candidates[0].SeenReady; !got.Equal(now.Add(time.Minute)) {
		t.Errorf("the pod is Ready since %s, want the look that saw it first", got)
	}
}

func TestNothingIsRememberedWithoutFailback(t *testing.T) {
	if seen := looked(nil, []*corev1.Service{service("a")}, []*corev1.Pod{pod("web-0")}).See(); seen.Ready != nil {
		t.Errorf("remembered: %v", seen)
	}
}
