package lease

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

func to(action election.Action, reason election.Reason, holder string, epoch int32, change ...func(*election.Decision)) election.Decision {
	d := election.Decision{Action: action, Reason: reason, Holder: holder, HolderUID: types.UID("uid-" + holder), Epoch: epoch}
	for _, f := range change {
		f(&d)
	}
	return d
}

func from(previous string) func(*election.Decision) {
	return func(d *election.Decision) { d.Previous = previous }
}

func deleting(pod string) func(*election.Decision) {
	return func(d *election.Decision) { d.Demoted = types.UID("uid-" + pod) }
}

func promising(pod string) func(*election.Decision) {
	return func(d *election.Decision) { d.Next = pod }
}

func though(why election.Reason) func(*election.Decision) {
	return func(d *election.Decision) { d.Ineligible = why }
}

// holding is the decision that changes nothing in written.
func holding(change ...func(*election.Decision)) election.Decision {
	return to(election.Hold, election.HolderEligible, "web-0", 4, append([]func(*election.Decision){promising("web-2")}, change...)...)
}

// waiting is a decision that changes nothing either, but the holder is not eligible.
func waiting(change ...func(*election.Decision)) election.Decision {
	return holding(append([]func(*election.Decision){though(election.HolderNotReady)}, change...)...)
}

// awaiting is a Lease of an election without a master.
func awaiting(l *coordinationv1.Lease) {
	l.Annotations, l.Spec = map[string]string{api.AnnotationReason: "AwaitingEligible"}, coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](0)}
}

func epochAlone(l *coordinationv1.Lease) {
	l.Annotations, l.Spec = nil, coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](4)}
}

func renewed(l *coordinationv1.Lease) { l.Spec.RenewTime = micro(now) }

func acquired(l *coordinationv1.Lease) { l.Spec.AcquireTime = micro(now) }

func held(pod string, epoch int32) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity, l.Spec.LeaseTransitions = &pod, &epoch
		annotate(l, api.AnnotationHolderUID, "uid-"+pod)
		annotate(l, api.AnnotationRecord, fmt.Sprintf("%d/uid-%s", epoch, pod))
	}
}

func seconds16(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = ptr.To[int32](16) }

func timeless(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil }

// created is a Lease that the controller creates for terms.
func created(change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	return written(append([]func(*coordinationv1.Lease){func(l *coordinationv1.Lease) {
		l.ResourceVersion, l.Annotations = "", map[string]string{}
	}}, change...)...)
}

func TestNext(t *testing.T) {
	const (
		movedOn = `[{"epoch":5,"time":"2026-01-01T01:00:00.000000Z","from":"web-0","to":"web-1","action":"Failover","reason":"HolderNotReady"}]`
		elected = `[{"epoch":1,"time":"2026-01-01T01:00:00.000000Z","to":"web-0","action":"Elect","reason":"FirstEligible"}]`
		adopted = `[{"epoch":1,"time":"2026-01-01T01:00:00.000000Z","to":"web-0","action":"Adopt","reason":"AlreadyDesignated"}]`
	)
	failedOver := to(election.Failover, election.HolderNotReady, "web-1", 5, from("web-0"))
	uid := func(o metav1.OwnerReference, uid types.UID) metav1.OwnerReference {
		o.UID = uid
		return o
	}
	type test struct {
		lease    *coordinationv1.Lease
		terms    Terms
		decision election.Decision
		renew    bool
		want     *coordinationv1.Lease
		need     Need
	}
	for topic, tests := range map[string]map[string]test{
		"at rest": {
			"a Lease that says what it must is not written":  {lease: written(), terms: terms(), decision: holding()},
			"a Lease of a waiting holder is not written":     {lease: written(), terms: terms(), decision: waiting()},
			"a Lease that awaits a master is not written":    {lease: written(awaiting), terms: terms(lasting(0)), decision: election.Decision{Action: election.Hold, Reason: election.AwaitingEligible}},
			"a Lease without annotations can be renewed too": {lease: written(epochAlone), terms: terms(lasting(0)), decision: election.Decision{Action: election.Hold, Epoch: 4}, renew: true, want: written(epochAlone, func(l *coordinationv1.Lease) { l.Annotations = map[string]string{} }, renewed), need: NeedRenewal},
		},
		"renewal": {
			"a renewal writes the time alone":       {lease: written(), terms: terms(), decision: holding(), renew: true, want: written(renewed), need: NeedRenewal},
			"a renewal goes with what else changes": {lease: written(), terms: terms(lasting(16 * time.Second)), decision: holding(), renew: true, want: written(seconds16, renewed), need: NeedTerms},
		},
		"duration": {
			"a duration that is asked for is written, and the Lease stays renewed when it was": {lease: written(), terms: terms(lasting(16 * time.Second)), decision: holding(), want: written(seconds16), need: NeedTerms},
			"a duration that is no longer asked for is removed":                                {lease: written(), terms: terms(lasting(0)), decision: holding(), want: written(timeless), need: NeedTerms},
			"a first duration is written":                                                      {lease: written(timeless), terms: terms(lasting(16 * time.Second)), decision: holding(), want: written(seconds16), need: NeedTerms},
			"a holder that is waited for keeps the duration":                                   {lease: written(), terms: terms(lasting(16 * time.Second)), decision: waiting()},
			"a holder that is waited for keeps it beside other changes": {
				lease: written(ownedBy(owner("web"))), terms: terms(lasting(16 * time.Second)), decision: waiting(),
				want: written(), need: NeedTerms,
			},
			"a holder that is waited for keeps it, and the time of the renewal, beside a decision": {
				lease: written(), terms: terms(lasting(16 * time.Second)), decision: waiting(promising("web-1")),
				want: written(annotated(api.AnnotationNextHolder, "web-1")), need: NeedDecision,
			},
			"a Lease that is made anew for a holder that is waited for has the duration, and is not renewed": {
				terms: terms(lasting(16 * time.Second)), decision: to(election.Restore, election.LeaseLost, "web-0", 4, though(election.HolderNotReady)),
				want: created(held("web-0", 4), annotated(api.AnnotationReason, "LeaseLost"), acquired, seconds16, func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }),
				need: NeedDecision,
			},
		},
		"the record": {
			"a Lease that an older version has written gets a record": {lease: written(annotated(api.AnnotationRecord, "")), terms: terms(), decision: holding(), want: written(), need: NeedTerms},
			"a record of an earlier epoch is renewed":                 {lease: written(annotated(api.AnnotationRecord, "3/uid-web-0")), terms: terms(), decision: holding(), want: written(), need: NeedTerms},
			"a UID that was overwritten is put back":                  {lease: written(annotated(api.AnnotationHolderUID, "uid-web-9")), terms: terms(), decision: holding(), want: written(renewed), need: NeedDecision},
		},
		"what is remembered": {
			"a handover after termination is remembered":      {lease: written(), terms: terms(ledBy("web"), afterTermination), decision: holding(), want: written(remembering("web")), need: NeedTerms},
			"it is remembered of a holder that is waited for": {lease: written(), terms: terms(ledBy("web"), afterTermination), decision: waiting(), want: written(remembering("web")), need: NeedTerms},
			"what is remembered is not written again":         {lease: written(remembering("web")), terms: terms(ledBy("web"), afterTermination), decision: holding()},
			"it is forgotten once it is no longer asked for":  {lease: written(remembering("web")), terms: terms(), decision: holding(), want: written(), need: NeedTerms},
		},
		"owners": {
			"owners in another order are left":                       {lease: written(ownedBy(owner("db"), owner("web"))), terms: terms(), decision: holding()},
			"a Service that joins comes last":                        {lease: written(ownedBy(owner("db"))), terms: terms(), decision: holding(), want: written(ownedBy(owner("db"), owner("web"))), need: NeedTerms},
			"a Service that leaves stays for now":                    {lease: written(ownedBy(owner("old"), owner("db"), owner("web"))), terms: terms(), decision: holding()},
			"a Service that was made anew is another":                {lease: written(ownedBy(uid(owner("web"), "old"), owner("db"))), terms: terms(), decision: holding(), want: written(ownedBy(uid(owner("web"), "old"), owner("db"), owner("web"))), need: NeedTerms},
			"an owner of another tool stays where it is":             {lease: written(ownedBy(someone, owner("web"))), terms: terms(), decision: holding(), want: written(ownedBy(someone, owner("web"), owner("db"))), need: NeedTerms},
			"an owner of another tool is no reason to write":         {lease: written(ownedBy(owner("web"), someone, owner("db"))), terms: terms(), decision: holding()},
			"owners of a waiting holder's Lease are written as well": {lease: written(ownedBy(owner("web"))), terms: terms(), decision: waiting(), want: written(), need: NeedTerms},
			"a decision writes the owners too":                       {lease: written(ownedBy(someone)), terms: terms(), decision: holding(promising("")), want: written(ownedBy(someone, owner("web"), owner("db")), annotated(api.AnnotationNextHolder, ""), renewed), need: NeedDecision},
		},
		"the pod to be deleted": {
			"a pod to be deleted stays recorded until the next move": {lease: written(), terms: terms(), decision: holding(promising("")), want: written(annotated(api.AnnotationNextHolder, ""), renewed), need: NeedDecision},
			"without on-demote it is removed":                        {lease: written(), terms: terms(notDeleting), decision: holding(), want: written(annotated(api.AnnotationDemotedUID, "")), need: NeedTerms},
			"without on-demote it is removed beside a decision": {
				lease: written(), terms: terms(notDeleting), decision: holding(promising("")),
				want: written(annotated(api.AnnotationDemotedUID, ""), annotated(api.AnnotationNextHolder, ""), renewed), need: NeedDecision,
			},
			"without on-demote it is removed beside a renewal": {lease: written(), terms: terms(notDeleting), decision: holding(), renew: true, want: written(annotated(api.AnnotationDemotedUID, ""), renewed), need: NeedTerms},
			"without on-demote none is removed":                {lease: written(annotated(api.AnnotationDemotedUID, "")), terms: terms(notDeleting), decision: holding()},
			"without on-demote none is recorded": {
				lease: written(), terms: terms(notDeleting), decision: to(election.Failover, election.HolderNotReady, "web-1", 5, from("web-0"), deleting("web-0")),
				want: written(held("web-1", 5), annotated(api.AnnotationReason, "HolderNotReady"), annotated(api.AnnotationNextHolder, ""), annotated(api.AnnotationDemotedUID, ""),
					annotated(api.AnnotationHistory, movedOn), acquired, renewed),
				need: NeedDecision,
			},
		},
		"decisions": {
			"a failover": {
				lease: written(), terms: terms(), decision: to(election.Failover, election.HolderNotReady, "web-1", 5, from("web-0"), deleting("web-0")),
				want: written(held("web-1", 5), annotated(api.AnnotationReason, "HolderNotReady"), annotated(api.AnnotationNextHolder, ""), annotated(api.AnnotationDemotedUID, "uid-web-0"),
					annotated(api.AnnotationHistory, movedOn), acquired, renewed),
				need: NeedDecision,
			},
			"a failover from a pod that is gone leaves nothing to be deleted": {
				lease: written(), terms: terms(), decision: failedOver,
				want: written(held("web-1", 5), annotated(api.AnnotationReason, "HolderNotReady"), annotated(api.AnnotationNextHolder, ""), annotated(api.AnnotationDemotedUID, ""),
					annotated(api.AnnotationHistory, movedOn), acquired, renewed),
				need: NeedDecision,
			},
			"a failover gives the next holder the duration that is asked for": {
				lease: written(annotated(api.AnnotationDemotedUID, "")), terms: terms(lasting(16 * time.Second)), decision: failedOver,
				want: written(held("web-1", 5), annotated(api.AnnotationReason, "HolderNotReady"), annotated(api.AnnotationNextHolder, ""), annotated(api.AnnotationDemotedUID, ""),
					annotated(api.AnnotationHistory, movedOn), acquired, renewed, seconds16),
				need: NeedDecision,
			},
			"the first master of a Service": {
				terms: terms(), decision: to(election.Elect, election.FirstEligible, "web-0", 1),
				want: created(held("web-0", 1), annotated(api.AnnotationReason, "FirstEligible"), annotated(api.AnnotationHistory, elected), acquired, renewed),
				need: NeedDecision,
			},
			"the first master in a Lease that has just begun": {
				lease: Begin(terms()), terms: terms(), decision: to(election.Elect, election.FirstEligible, "web-0", 1),
				want: created(held("web-0", 1), annotated(api.AnnotationReason, "FirstEligible"), annotated(api.AnnotationHistory, elected), acquired, renewed),
				need: NeedDecision,
			},
			"the predecessor's master": {
				terms: terms(), decision: to(election.Adopt, election.AlreadyDesignated, "web-0", 1),
				want: created(held("web-0", 1), annotated(api.AnnotationReason, "AlreadyDesignated"), annotated(api.AnnotationHistory, adopted), acquired, renewed),
				need: NeedDecision,
			},
			"a Service without an eligible pod": {
				terms: terms(), decision: election.Decision{Action: election.Hold, Reason: election.AwaitingEligible},
				want: created(annotated(api.AnnotationReason, "AwaitingEligible"), func(l *coordinationv1.Lease) {
					l.Spec = coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](0), LeaseDurationSeconds: ptr.To[int32](15)}
				}),
				need: NeedDecision,
			},
			"an epoch without a holder": {
				terms: terms(lasting(0)), decision: election.Decision{Action: election.Hold, Reason: election.AwaitingEligible, Epoch: 7},
				want: created(annotated(api.AnnotationReason, "AwaitingEligible"), func(l *coordinationv1.Lease) {
					l.Spec = coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](7)}
				}),
				need: NeedDecision,
			},
			"a Lease that was deleted": {
				terms: terms(), decision: to(election.Restore, election.LeaseLost, "web-0", 4),
				want: created(held("web-0", 4), annotated(api.AnnotationReason, "LeaseLost"), acquired, renewed),
				need: NeedDecision,
			},
			"an epoch that was edited keeps the reason and the time of the last move": {
				lease: written(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To[int32](2) }), terms: terms(),
				decision: to(election.Restore, election.EpochRestored, "web-0", 4, promising("web-2")),
				want:     written(renewed), need: NeedDecision,
			},
			"an edit that is refused keeps them": {
				lease: written(func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-9") }), terms: terms(),
				decision: to(election.Restore, election.EditRefused, "web-0", 4, promising("web-2")),
				want:     written(renewed), need: NeedDecision,
			},
			"a Lease whose annotations were removed gets a reason and a time": {
				lease: written(func(l *coordinationv1.Lease) { l.Annotations = nil }), terms: terms(), decision: to(election.Restore, election.LeaseLost, "web-0", 4),
				want: written(func(l *coordinationv1.Lease) { l.Annotations = map[string]string{} }, held("web-0", 4), annotated(api.AnnotationReason, "LeaseLost"), acquired, renewed), need: NeedDecision,
			},
			"a master that is asked to stop": {
				lease: written(annotated(api.AnnotationNextHolder, "")), terms: terms(), decision: to(election.Stop, election.HolderEdited, "web-0", 4, promising("web-1")),
				want: written(annotated(api.AnnotationNextHolder, "web-1"), renewed), need: NeedDecision,
			},
		},
	} {
		t.Run(topic, func(t *testing.T) {
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					before := test.lease.DeepCopy()
					got, need := Next(test.lease, test.terms, test.decision, test.renew, now)
					if need != test.need {
						t.Errorf("need %d, want %d", need, test.need)
					}
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("Lease (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff(before, test.lease); diff != "" {
						t.Errorf("the Lease, of an informer's cache, was changed (-before +after):\n%s", diff)
					}
					if got == nil {
						return
					}
					if again, need := Next(got, test.terms, test.decision, false, now); need != NeedNothing {
						t.Errorf("what was written is not what must be written, need %d (-once +twice):\n%s", need, cmp.Diff(got, again))
					}
				})
			}
		})
	}
}

// Two versions of the controller that name the same Services in different orders leave each
// other's Lease alone.
func TestOwnersAreASet(t *testing.T) {
	other := terms(func(t *Terms) { t.Owners = []metav1.OwnerReference{owner("db"), owner("web")} })
	l, _ := Next(nil, terms(), to(election.Elect, election.FirstEligible, "web-0", 1), false, now)
	for range 3 {
		for _, terms := range []Terms{other, terms()} {
			if next, need := Next(l, terms, to(election.Hold, election.HolderEligible, "web-0", 1), false, now); need != NeedNothing {
				t.Fatalf("need %d (-before +after):\n%s", need, cmp.Diff(l, next))
			}
		}
	}
}
