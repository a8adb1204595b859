package lease

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// wroteFields is the entry of a field manager that wrote these fields of the spec last.
func wroteFields(manager string, fields ...string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:` + strings.Join(fields, `":{},"f:`) + `":{}}}`)}
}

func managed(entries ...metav1.ManagedFieldsEntry) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) { l.ManagedFields = entries }
}

var (
	ours     = wroteFields(api.ManagedBy, "holderIdentity", "leaseTransitions", "renewTime", "acquireTime")
	acquires = wroteFields("app", "acquireTime", "holderIdentity", "leaseDurationSeconds", "leaseTransitions", "renewTime")
	renews   = wroteFields("app", "leaseDurationSeconds", "renewTime")
	edits    = wroteFields("kubectl-edit", "holderIdentity")
)

const movedBefore = `[{"epoch":4,"time":"2026-01-01T00:00:00.000000Z","from":"web-9","to":"web-0","action":"Failover","reason":"HolderGone"}]`

// contended is a Lease that the controller has written, and that an application has then acquired,
// 50 minutes before now.
func contended(change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	return written(append([]func(*coordinationv1.Lease){annotated(api.AnnotationHistory, movedBefore), managed(acquires), func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity, l.Spec.LeaseTransitions, l.Spec.LeaseDurationSeconds = ptr.To("app-1"), ptr.To[int32](5), ptr.To[int32](30)
		l.Spec.AcquireTime, l.Spec.RenewTime = micro(start.Add(10*time.Minute)), micro(start.Add(11*time.Minute))
	}}, change...)...)
}

func TestContender(t *testing.T) {
	replaces := wroteFields("kubectl-replace", "holderIdentity", "renewTime")
	releases := wroteFields("app", "holderIdentity", "leaseDurationSeconds", "renewTime")
	tests := map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
		kept    []metav1.ManagedFieldsEntry
	}{
		"the controller alone has written the Lease":                         {[]metav1.ManagedFieldsEntry{ours}, "", nil},
		"nothing is known of who wrote the Lease":                            {nil, "", nil},
		"a user has edited the holder":                                       {[]metav1.ManagedFieldsEntry{ours, edits}, "", nil},
		"a user has put back an old manifest":                                {[]metav1.ManagedFieldsEntry{ours, replaces}, "", nil},
		"an application has acquired the Lease":                              {[]metav1.ManagedFieldsEntry{ours, acquires}, "app", []metav1.ManagedFieldsEntry{acquires}},
		"an application renews it in the holder's name":                      {[]metav1.ManagedFieldsEntry{ours, renews}, "app", []metav1.ManagedFieldsEntry{renews}},
		"a user has edited the holder of a Lease that an application renews": {[]metav1.ManagedFieldsEntry{edits, ours, renews}, "app", []metav1.ManagedFieldsEntry{edits, renews}},
		"an application has released what it renewed":                        {[]metav1.ManagedFieldsEntry{ours, releases}, "app", []metav1.ManagedFieldsEntry{releases}},
		"an entry has no fields":                                             {[]metav1.ManagedFieldsEntry{{Manager: "app"}}, "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := written(managed(test.entries...))
			if got := Contender(l); got != test.want {
				t.Errorf("contender %q, want %q", got, test.want)
			}
			if diff := cmp.Diff(test.kept, Contention(l)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			l.ManagedFields = Contention(l)
			if got := Contender(l); got != test.want {
				t.Errorf("contender %q of what is kept, want %q", got, test.want)
			}
		})
	}
	if Contender(nil) != "" {
		t.Error("there is a contender for no Lease")
	}
}

func TestDecodeOfALeaseThatIsContended(t *testing.T) {
	recorded := election.Lease{Exists: true, Holder: "web-0", HolderUID: "uid-web-0", Epoch: 4, Next: "web-2", Acquired: start, Contender: "app"}
	with := func(change func(*election.Lease)) election.Lease {
		l := recorded
		change(&l)
		return l
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  election.Lease
	}{
		"what the controller has recorded counts": {contended(), recorded},
		"an epoch that no cluster gets to does not count": {
			contended(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(api.MaxEpoch) }), recorded,
		},
		"a holder that a user has written since is a request": {
			contended(managed(edits, renews), func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), with(func(l *election.Lease) { l.Holder = "web-1" }),
		},
		"the holder's name is not known if the Lease does not tell of the move": {
			contended(annotated(api.AnnotationHistory, "")), with(func(l *election.Lease) { l.Holder, l.Acquired = "", time.Time{} }),
		},
		"a UID that was overwritten does not count": {
			contended(annotated(api.AnnotationHolderUID, "uid-web-9")), with(func(l *election.Lease) { l.Forged = true }),
		},
		"there has not been a master, and the epoch does not fall": {
			contended(func(l *coordinationv1.Lease) {
				l.Annotations = map[string]string{api.AnnotationReason: "AwaitingEligible"}
			}), election.Lease{Exists: true, Epoch: 5, Contender: "app"},
		},
		"the Lease has just begun": {
			contended(func(l *coordinationv1.Lease) { l.Annotations = nil }), election.Lease{Epoch: 5, Contender: "app"},
		},
		"a Lease of an older version, without a record, counts as it is": {
			contended(annotated(api.AnnotationRecord, "")),
			election.Lease{Exists: true, Holder: "app-1", HolderUID: "uid-web-0", Epoch: 5, Next: "web-2", Acquired: start.Add(10 * time.Minute), Duration: 30 * time.Second},
		},
		"a Lease that an application has made is foreign": {
			contended(func(l *coordinationv1.Lease) { l.Labels, l.Annotations = nil, nil }),
			election.Lease{Exists: true, Foreign: true, Holder: "app-1", Epoch: 5, Acquired: start.Add(10 * time.Minute), Duration: 30 * time.Second},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Decode(test.lease)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextOfALeaseThatIsContended(t *testing.T) {
	yielding := func(d *election.Decision) { d.Yields = true }
	history := annotated(api.AnnotationHistory, movedBefore)
	unmanaged := func(l *coordinationv1.Lease) { l.ManagedFields = nil }
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		terms    Terms
		decision election.Decision
		renew    bool
		want     *coordinationv1.Lease
		need     Need
	}{
		"it is left to the contender while that renews it": {lease: contended(), terms: terms(), decision: holding(yielding)},
		"it is left to the contender also if the Lease does not tell the holder's name": {
			lease: contended(annotated(api.AnnotationHistory, "")), terms: terms(), decision: holding(yielding),
		},
		"it is left to the contender while the holder is not eligible": {lease: contended(), terms: terms(), decision: waiting(yielding)},
		"it is taken back in the same epoch once the contender is gone": {
			lease: contended(), terms: terms(), decision: holding(), want: written(history, renewed), need: NeedDecision,
		},
		"it is taken back without a time on which a holder could rely that is not eligible": {
			lease: contended(), terms: terms(), decision: waiting(),
			want: written(history, func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }), need: NeedDecision,
		},
		"it is taken back by a renewal": {
			lease: contended(), terms: terms(), decision: holding(yielding), renew: true, want: written(history, renewed), need: NeedRenewal,
		},
		"a user's edit is taken back, and the rest with it": {
			lease: contended(managed(edits, renews), func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), terms: terms(),
			decision: to(election.Restore, election.EditRefused, "web-0", 4, yielding, promising("web-2")),
			want:     written(history, renewed), need: NeedDecision,
		},
		"what the Services ask for is written, and the rest with it": {
			lease: contended(ownedBy(owner("web"))), terms: terms(), decision: holding(yielding), want: written(history, renewed), need: NeedTerms,
		},
		"the duration is left to the contender": {lease: contended(), terms: terms(lasting(0)), decision: holding(yielding)},
		"a move is written in the epoch after the recorded one": {
			lease: contended(annotated(api.AnnotationHistory, "")), terms: terms(notDeleting),
			decision: to(election.Failover, election.HolderNotReady, "web-1", 5, from("web-0"), yielding),
			want: written(held("web-1", 5), acquired, renewed, annotated(api.AnnotationReason, "HolderNotReady"), annotated(api.AnnotationNextHolder, ""), annotated(api.AnnotationDemotedUID, ""),
				annotated(api.AnnotationHistory, `[{"epoch":5,"time":"2026-01-01T01:00:00.000000Z","from":"web-0","to":"web-1","action":"Failover","reason":"HolderNotReady"}]`)),
			need: NeedDecision,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, need := Next(test.lease, test.terms, test.decision, test.renew, now)
			if test.want != nil {
				unmanaged(test.want)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || need != test.need {
				t.Errorf("need %d, want %d, for (-want +got):\n%s", need, test.need, diff)
			}
			if got == nil {
				return
			}
			if again, need := Next(got, test.terms, test.decision, false, now); again != nil {
				t.Errorf("it is written once more: need %d", need)
			}
		})
	}
}

func TestOutdatedIgnoresTheDurationOfAContender(t *testing.T) {
	if Outdated(contended(), terms()) {
		t.Error("a Lease counts as outdated for the duration that a contender has written")
	}
	if !Outdated(contended(ownedBy(owner("web"))), terms()) {
		t.Error("a Lease with other owners does not count as outdated because of a contender")
	}
}

func TestSighting(t *testing.T) {
	renewedAt := func(at time.Time) func(*coordinationv1.Lease) {
		return func(l *coordinationv1.Lease) { l.Spec.RenewTime = micro(at) }
	}
	tests := map[string]struct {
		before Sighting
		lease  *coordinationv1.Lease
		yield  time.Duration
	}{
		"there is no Lease":                                  {Sighting{}, nil, 0},
		"there is no contender":                              {Sighting{start, now.Add(-time.Second)}, written(), 0},
		"a contender is seen first":                          {Sighting{}, contended(), time.Minute},
		"a contender has a clock that is late by an hour":    {Sighting{}, contended(renewedAt(now.Add(-time.Hour))), time.Minute},
		"a contender has not renewed since it was seen":      {Sighting{now.Add(-time.Hour), now.Add(-40 * time.Second)}, contended(renewedAt(now.Add(-time.Hour))), 20 * time.Second},
		"a contender has renewed since it was seen":          {Sighting{now.Add(-time.Hour), now.Add(-40 * time.Second)}, contended(renewedAt(now.Add(-time.Minute))), time.Minute},
		"a contender has not renewed for a minute":           {Sighting{now.Add(-time.Hour), now.Add(-time.Minute)}, contended(renewedAt(now.Add(-time.Hour))), 0},
		"a contender has not renewed for more than a minute": {Sighting{now.Add(-time.Hour), now.Add(-time.Hour)}, contended(renewedAt(now.Add(-time.Hour))), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.before.See(test.lease, now).Yield(now); got != test.yield {
				t.Errorf("the Lease is left to the contender for %s, want %s", got, test.yield)
			}
		})
	}
}

func TestTaken(t *testing.T) {
	if since, taken := Taken(contended(), holding()); !taken || !since.Equal(start.Add(10*time.Minute)) {
		t.Errorf("taken: %v, since %s", taken, since)
	}
	for name, l := range map[string]*coordinationv1.Lease{
		"no Lease":                              nil,
		"a Lease without a contender":           written(),
		"a Lease renewed in the holder's name":  contended(managed(renews), func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-0") }),
		"an edit of a Lease without contenders": written(managed(edits), func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }),
	} {
		if _, taken := Taken(l, holding()); taken {
			t.Errorf("%s counts as taken", name)
		}
	}
}
