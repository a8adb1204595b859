package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// contended is a Lease of web-0 in epoch 4 that an application has acquired for itself.
func contended() *coordinationv1.Lease {
	l := heldBy("uid-web-0")
	l.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy}
	l.Annotations[api.AnnotationRecord] = "4/uid-web-0"
	l.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "app", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:holderIdentity":{},"f:leaseTransitions":{},"f:renewTime":{}}}`)}}
	l.Spec = coordinationv1.LeaseSpec{HolderIdentity: ptr.To("web-1"), LeaseTransitions: ptr.To[int32](17), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: ptr.To(metav1.NewMicroTime(start))}
	return l
}

func TestALeaseThatIsContended(t *testing.T) {
	services := []*corev1.Service{service("web"), service("x", refused)}
	o := looked(contended(), services, []*corev1.Pod{pod("web-0"), pod("web-1")})
	want := []api.Problem{{Reason: "LeaseContended", Message: `the field manager "app" holds the Lease web as its own, as an application does whose leader election uses a Lease of that name; ` +
		"give this election another with the annotation qoqo.dev/lease-name, or let the application use another"}}
	if diff := cmp.Diff(want, o.Problems["uid-web"]); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if d := election.Decide(o.View()); d.Action != election.Hold || d.HolderUID != "uid-web-0" || d.Epoch != 4 || d.Writes(o.View().Lease) {
		t.Errorf("the master is not kept as it is: %+v", d)
	}
	foreign := contended()
	foreign.Labels = nil
	if got := looked(foreign, services, nil).Problems["uid-web"]; len(got) > 0 {
		t.Errorf("the problems %q of a foreign Lease", got)
	}
}

func TestTheEpochOfALeaseThatIsContended(t *testing.T) {
	named := func(holder string, epoch int32) *coordinationv1.Lease {
		l := contended()
		l.Spec.HolderIdentity, l.Spec.LeaseTransitions = &holder, &epoch
		return l
	}
	moved := func(l *coordinationv1.Lease) *coordinationv1.Lease {
		l.Annotations[api.AnnotationHistory] = `[{"epoch":4,"time":"2026-01-01T00:00:00.000000Z","to":"web-0","action":"Elect","reason":"FirstEligible"}]`
		return l
	}
	edited := func(l *coordinationv1.Lease) *coordinationv1.Lease {
		l.ManagedFields = []metav1.ManagedFieldsEntry{
			{Manager: "app", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:leaseTransitions":{},"f:renewTime":{}}}`)},
			{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:holderIdentity":{}}}`)},
		}
		return l
	}
	pods := []*corev1.Pod{pod("web-0"), pod("web-1")}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		pods  []*corev1.Pod
		want  int32
	}{
		"is what was recorded":                              {named("app-0", 17), pods, 4},
		"is what was recorded if it names another pod":      {named("web-1", 17), pods, 4},
		"is the contender's if it names the master":         {named("web-0", 17), pods, 17},
		"is the contender's if it names a master that went": {moved(named("web-0", 17)), pods[1:], 17},
		"does not fall":                                    {named("web-0", 2), pods, 4},
		"is no epoch that no cluster gets to":              {named("web-0", api.MaxEpoch+1), pods, 4},
		"is what was recorded if the Lease was released":   {named("", 17), nil, 4},
		"is what was recorded if a user named another pod": {edited(moved(named("web-1", 17))), pods[1:], 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := looked(test.lease, []*corev1.Service{service("web")}, test.pods)
			if got := o.View().Lease.Epoch; got != test.want {
				t.Errorf("epoch %d, want %d", got, test.want)
			}
		})
	}
}

func TestTheDurationOfALeaseThatIsContendedIsTheServices(t *testing.T) {
	for asked, want := range map[string]time.Duration{"": 0, "30s": 30 * time.Second} {
		s := service("web")
		if asked != "" {
			s.Annotations[api.AnnotationLeaseDuration] = asked
		}
		if got := looked(contended(), []*corev1.Service{s}, nil).View().Lease.Duration; got != want {
			t.Errorf("a holder relies on the Lease for %s, want %s", got, want)
		}
	}
}

func TestTheOutageOfALeaseThatIsContended(t *testing.T) {
	since := start.Add(time.Minute)
	tests := map[string]struct {
		holder, duration string
		want             time.Time
	}{
		"goes on while the contender renews for itself":                              {"app-0", "30s", since},
		"goes on while the contender renews for another pod":                         {"web-1", "30s", since},
		"goes on while the contender renews a Lease on which no holder relies":       {"web-0", "", since},
		"ends when the contender renews for the holder, which may rely on the Lease": {"web-0", "30s", time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, s := contended(), service("web")
			l.Spec.HolderIdentity = &test.holder
			if test.duration != "" {
				s.Annotations[api.AnnotationLeaseDuration] = test.duration
			}
			o := Look(Inputs{
				Key: web, Now: now, Lease: l, Services: []*corev1.Service{s}, Pods: []*corev1.Pod{pod("web-0")},
				Outage: Outage{"uid-web-0", start.Add(-time.Second), since},
			})
			if got := o.View().DownSince; !got.Equal(test.want) {
				t.Errorf("down since %s, want %s", got, test.want)
			}
		})
	}
}

func TestAContenderIsGoneAMinuteAfterItsLastRenewal(t *testing.T) {
	for seen, want := range map[time.Time]time.Duration{
		{}:                                  time.Minute,
		now.Add(-45 * time.Second):          15 * time.Second,
		now.Add(-time.Minute):               0,
		now.Add(-time.Minute - time.Second): 0,
	} {
		in := Inputs{Key: web, Now: now, Lease: contended(), Services: []*corev1.Service{service("web")}, Contender: lease.Sighting{Renewed: start, At: seen}}
		o := Look(in)
		if got := o.View().Lease.Yield; got != want {
			t.Errorf("seen at %s, the Lease is left to the contender for %s, want %s", seen, got, want)
		}
		if got := o.SeeContender(); !seen.IsZero() && got != in.Contender {
			t.Errorf("it is remembered as %v, want %v", got, in.Contender)
		}
	}
}
