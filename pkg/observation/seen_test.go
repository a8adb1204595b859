package observation

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/probe"
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

// What pods claim in their answers counts before their annotations. With failback it is compared only
// with what a pod says that this replica hears too.
func TestClaimedPriority(t *testing.T) {
	answers := func(claim string) *probe.Answer { return &probe.Answer{Claim: claim} }
	for name, test := range map[string]struct {
		// pod and master are what the annotations say. podSays and masterSays are the answers; nil if
		// the replica does not hear the pod.
		pod, master         string
		podSays, masterSays *probe.Answer
		want                int64
		higher              bool
	}{
		"the answer counts before the annotation":           {pod: "1", podSays: answers("7"), masterSays: answers("5"), want: 7, higher: true},
		"the answer counts before a higher annotation":      {pod: "9", podSays: answers("3"), masterSays: answers("5"), want: 3},
		"without an answer the annotation counts":           {pod: "9", want: 9, higher: true},
		"an answer without a claim leaves the annotation":   {pod: "9", podSays: answers(""), want: 9, higher: true},
		"a claim that is not valid leaves the annotation":   {pod: "9", podSays: answers("high"), masterSays: answers("5"), want: 9, higher: true},
		"a claim that is too long leaves the annotation":    {pod: "9", podSays: answers(strings.Repeat("1", api.MaxValue+1)), masterSays: answers("5"), want: 9, higher: true},
		"the master is heard and claims nothing":            {master: "3", podSays: answers("7"), masterSays: answers(""), want: 7, higher: true},
		"the master claims less than its annotation":        {master: "9", podSays: answers("7"), masterSays: answers("5"), want: 7, higher: true},
		"the pod claims more and the master is not heard":   {podSays: answers("7"), want: 7},
		"the master claims less and the pod is not heard":   {pod: "9", masterSays: answers("5"), want: 9},
		"neither claims and the master is not heard":        {pod: "9", podSays: answers(""), want: 9, higher: true},
		"a claim of 0 counts before the annotation":         {pod: "9", podSays: answers("0"), masterSays: answers("-1"), want: 0, higher: true},
		"the same number in an answer and in an annotation": {master: "7", podSays: answers("7"), masterSays: answers(""), want: 7},
	} {
		t.Run(name, func(t *testing.T) {
			in := Inputs{
				Key: web, Now: now, Lease: heldBy("uid-web-1"), Services: []*corev1.Service{service("a", asking(api.AnnotationFailback, "10m"))},
				Pods:    []*corev1.Pod{pod("web-0", annotated(api.AnnotationPriority, cmp.Or(test.pod, "0"))), pod("web-1", annotated(api.AnnotationPriority, cmp.Or(test.master, "0")))},
				Answers: map[types.UID]probe.Answer{},
			}
			for uid, says := range map[types.UID]*probe.Answer{"uid-web-0": test.podSays, "uid-web-1": test.masterSays} {
				if says != nil {
					in.Answers[uid] = *says
				}
			}
			c := Look(in).View().Candidates[0]
			if c.Priority != test.want || c.HigherSince.IsZero() == test.higher {
				t.Errorf("priority %d, higher since %s; want %d, higher: %t", c.Priority, c.HigherSince, test.want, test.higher)
			}
		})
	}
}

// Two replicas that each hear another pod for ever do not move the master by what the pods claim.
func TestReplicasThatHearDifferentPods(t *testing.T) {
	pods := []*corev1.Pod{pod("web-0"), pod("web-1")}
	for _, hears := range []types.UID{"uid-web-0", "uid-web-1"} {
		for _, master := range []string{"uid-web-0", "uid-web-1"} {
			o := Look(Inputs{
				Key: web, Now: now, Lease: heldBy(master), Services: []*corev1.Service{service("a", asking(api.AnnotationFailback, "0s"))}, Pods: pods,
				Answers: map[types.UID]probe.Answer{hears: {Claim: "9"}},
			})
			for _, c := range o.View().Candidates {
				if !c.HigherSince.IsZero() {
					t.Errorf("a replica that hears %s counts the time to move the master from %s to %s", hears, master, c.Name)
				}
			}
		}
	}
}

func TestAClaimThatIsNotValidIsReported(t *testing.T) {
	o := Look(Inputs{
		Key: web, Now: now, Services: []*corev1.Service{service("a")}, Pods: []*corev1.Pod{pod("web-0")},
		Answers: map[types.UID]probe.Answer{"uid-web-0": {Claim: "7", Wrong: "high\n"}},
	})
	want := api.Problem{
		Reason:  api.ReasonInvalidAnswer,
		Message: `Qoqo-Priority in the answer of the pod web-0 to the probe: "high\n" is not valid; allowed: a whole number of 64 bits, such as "100" or "-1"; it is ignored`,
	}
	if got := o.Problems[o.Members[0].UID]; !slices.Contains(got, want) {
		t.Errorf("problems %v, want %v", got, want)
	}
}
