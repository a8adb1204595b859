// Package lease is the record of an election: what a coordination.k8s.io Lease says, what it
// must say after a decision, and when it is renewed. It is pure, and imports packages api and
// election.
package lease

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Terms are what the Services of an election ask of its Lease.
type Terms struct {
	// Key names the Lease.
	Key types.NamespacedName
	// Owners are those Services. The garbage collector removes the Lease with the last of
	// them.
	Owners []metav1.OwnerReference
	// Duration is for how long the Lease is valid after a renewal, in whole seconds; 0 if it
	// is never renewed.
	Duration time.Duration
	// AfterTermination: no pod becomes master before the former one has stopped.
	AfterTermination bool
	// Leading is the name of the Service that has asked for AfterTermination or the Duration.
	Leading string
	// DeleteDemoted: the Lease may record a former master that the controller must delete.
	DeleteDemoted bool
}

// Remembered returns the terms that the Lease has been written with and that must not be lost
// with a Service: AfterTermination, Duration, and the Service that Leading names. It is empty
// if the Lease names none, or is nil.
func Remembered(l *coordinationv1.Lease) Terms {
	if l == nil || l.Annotations[api.AnnotationLeadingService] == "" {
		return Terms{}
	}
	return Terms{
		Leading:          l.Annotations[api.AnnotationLeadingService],
		AfterTermination: l.Annotations[api.AnnotationHandover] == api.HandoverAfterTermination,
		Duration:         Duration(l),
	}
}

// Duration returns for how long the Lease is valid after a renewal; 0 if it is never renewed,
// is nil, or says what no Service can ask for.
func Duration(l *coordinationv1.Lease) time.Duration {
	if l == nil {
		return 0
	}
	d := time.Duration(ptr.Deref(l.Spec.LeaseDurationSeconds, 0)) * time.Second
	if d < api.MinLeaseDuration || d > api.MaxLeaseDuration {
		return 0
	}
	return d
}

// remember writes the terms that must not be lost with a Service. A Lease of an election that
// needs none has none of these annotations.
func (t Terms) remember(l *coordinationv1.Lease) {
	annotate(l, api.AnnotationLeadingService, t.Leading)
	handover := ""
	if t.AfterTermination {
		handover = api.HandoverAfterTermination
	}
	annotate(l, api.AnnotationHandover, handover)
}

// remembered reports whether the Lease says which terms must not be lost with a Service.
func remembered(l *coordinationv1.Lease, terms Terms) bool {
	was := Remembered(l)
	return was.Leading == terms.Leading && was.AfterTermination == terms.AfterTermination
}

// Begin returns the Lease that is created before the traces of an election are read. It says
// nothing yet. What is decided is an update of it, which fails if the Lease was deleted meanwhile:
// then another replica may have made a Lease, and given out the epoch.
func Begin(terms Terms) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: terms.Key.Namespace, Name: terms.Key.Name,
		Labels:          map[string]string{api.LabelManagedBy: api.ManagedBy},
		OwnerReferences: owners(nil, terms),
	}, Spec: coordinationv1.LeaseSpec{LeaseTransitions: new(int32)}}
}

// begun reports whether the controller has recorded nothing in the Lease yet.
func begun(l *coordinationv1.Lease) bool {
	for _, key := range []string{api.AnnotationReason, api.AnnotationRecord, api.AnnotationHolderUID} {
		if l.Annotations[key] != "" {
			return false
		}
	}
	return l.Labels[api.LabelManagedBy] == api.ManagedBy && (ptr.Deref(l.Spec.LeaseTransitions, 0) == 0 || Contender(l) != "")
}

// Decode returns what the Lease says. A Lease that is nil, or has just begun, does not exist.
func Decode(l *coordinationv1.Lease) election.Lease {
	if l == nil {
		return election.Lease{}
	}
	record := election.Lease{
		Exists:    !begun(l),
		Foreign:   l.Labels[api.LabelManagedBy] != api.ManagedBy,
		Holder:    ptr.Deref(l.Spec.HolderIdentity, ""),
		HolderUID: types.UID(l.Annotations[api.AnnotationHolderUID]),
		Epoch:     ptr.Deref(l.Spec.LeaseTransitions, 0),
		Next:      l.Annotations[api.AnnotationNextHolder],
		Duration:  time.Duration(ptr.Deref(l.Spec.LeaseDurationSeconds, 0)) * time.Second,
		Acquired:  ptr.Deref(l.Spec.AcquireTime, metav1.MicroTime{}).Time,
	}
	if record.Epoch > api.MaxEpoch {
		record.Epoch = 0
	}
	contend(&record, l)
	if epoch, uid, found := Recorded(l); found && epoch == record.Epoch && record.HolderUID != "" && uid != record.HolderUID {
		record.HolderUID, record.Forged = uid, true
	}
	return record
}

// Recorded returns the epoch and the holder's UID as the controller has written them into the
// Lease beside those that users see; false if they are not there.
func Recorded(l *coordinationv1.Lease) (epoch int32, holder types.UID, found bool) {
	if l == nil {
		return 0, "", false
	}
	number, uid, found := strings.Cut(l.Annotations[api.AnnotationRecord], "/")
	value, err := strconv.ParseInt(number, 10, 32)
	if !found || uid == "" || err != nil || value < 0 || int32(value) > api.MaxEpoch {
		return 0, "", false
	}
	return int32(value), types.UID(uid), true
}

// recordOf returns the value of AnnotationRecord for a decision; empty if there has not been a
// holder.
func recordOf(d election.Decision) string {
	if d.HolderUID == "" {
		return ""
	}
	return fmt.Sprintf("%d/%s", d.Epoch, d.HolderUID)
}

// Demoted returns the UID of the former master that, according to the Lease, must be deleted;
// empty if there is none.
func Demoted(l *coordinationv1.Lease) types.UID {
	return types.UID(l.Annotations[api.AnnotationDemotedUID])
}

// Renewed returns when the Lease was last renewed; zero if it never was, or is nil.
func Renewed(l *coordinationv1.Lease) time.Time {
	if l == nil {
		return time.Time{}
	}
	return ptr.Deref(l.Spec.RenewTime, metav1.MicroTime{}).Time
}

// Outdated reports whether the Lease exists, and its owners, its duration or what it remembers
// are not those of the terms.
func Outdated(l *coordinationv1.Lease, terms Terms) bool {
	return l != nil && (!owned(l, terms) || !timed(l, terms) || !remembered(l, terms))
}

// Need is why a Lease must be written.
type Need int

const (
	// NeedNothing is that the Lease says what it must say, and no renewal is due.
	NeedNothing Need = iota
	// NeedRenewal is that the Lease says what it must say, and a renewal is due. One replica's
	// renewal counts for all.
	NeedRenewal
	// NeedTerms is that the Lease does not say what the Services ask of it.
	NeedTerms
	// NeedDecision is that the Lease does not say what was decided.
	NeedDecision
)

// Next returns the Lease as it must be written for a decision, and why; nil if nothing must be
// written. The caller creates a Lease without a resource version, and updates any other on its
// version. renew means that a renewal is due. The caller must not act on election.Refuse.
func Next(l *coordinationv1.Lease, terms Terms, d election.Decision, renew bool, now time.Time) (*coordinationv1.Lease, Need) {
	var need Need
	switch {
	case d.Writes(Decode(l)):
		need = NeedDecision
	case l.Annotations[api.AnnotationRecord] != recordOf(d), !owned(l, terms), !remembered(l, terms), !terms.DeleteDemoted && Demoted(l) != "", d.Ineligible == "" && !timed(l, terms):
		need = NeedTerms
	case renew:
		need = NeedRenewal
	default:
		return nil, NeedNothing
	}
	contended := Decode(l).Contender != ""
	next := Begin(terms)
	if l != nil {
		next = l.DeepCopy()
		// The API server keeps these, unless it is sent others.
		next.ManagedFields = nil
	}
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.OwnerReferences = owners(l, terms)
	terms.remember(next)
	annotate(next, api.AnnotationRecord, recordOf(d))
	if d.Ineligible == "" || !Decode(l).Exists || contended {
		// A holder that is waited for relies on the duration that it has read.
		next.Spec.LeaseDurationSeconds = seconds(terms.Duration)
	}
	if contended {
		reclaim(next, now)
	}
	if need == NeedDecision || contended {
		record(next, d, now)
	}
	if !terms.DeleteDemoted {
		delete(next.Annotations, api.AnnotationDemotedUID)
	}
	if renew {
		next.Spec.RenewTime = ptr.To(metav1.NewMicroTime(now))
	}
	return next, need
}

// record writes the decision into the Lease. The reason and the time of the last move stay if
// the decision does not move the master.
func record(l *coordinationv1.Lease, d election.Decision, now time.Time) {
	at := metav1.NewMicroTime(now)
	if d.Transition() || d.Action == election.Adopt || l.Annotations[api.AnnotationReason] == "" {
		l.Annotations[api.AnnotationReason] = string(d.Reason)
		l.Spec.AcquireTime = &at
	}
	annotate(l, api.AnnotationHolderUID, string(d.HolderUID))
	annotate(l, api.AnnotationNextHolder, d.Next)
	if d.Transition() {
		annotate(l, api.AnnotationDemotedUID, string(d.Demoted))
	}
	if d.Transition() || d.Action == election.Adopt {
		addMove(l, d, at)
	}
	l.Spec.LeaseTransitions, l.Spec.HolderIdentity = &d.Epoch, &d.Holder
	if d.Ineligible == "" {
		// A renewal would let a holder that is not eligible rely on its Lease for longer.
		l.Spec.RenewTime = &at
	}
	if d.HolderUID == "" {
		l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.RenewTime = nil, nil, nil
	}
}

// annotate sets the annotation, or removes it if value is empty.
func annotate(l *coordinationv1.Lease, key, value string) {
	if value == "" {
		delete(l.Annotations, key)
	} else {
		l.Annotations[key] = value
	}
}

// owners returns the owners that the Lease must have, and those that it has: LetGo takes away
// those that must go. The order stays, because two versions of the controller that list the same
// Services in different orders would otherwise rewrite the Lease in turns.
func owners(l *coordinationv1.Lease, terms Terms) []metav1.OwnerReference {
	var all []metav1.OwnerReference
	if l != nil {
		all = slices.Clone(l.OwnerReferences)
	}
	for _, owner := range terms.Owners {
		if !slices.Contains(all, owner) {
			all = append(all, owner)
		}
	}
	return all
}

// Former returns those of the Lease's owners that are Services and no longer take part in the
// election. Other owners another program has added.
func Former(l *coordinationv1.Lease, terms Terms) []metav1.OwnerReference {
	if l == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l.OwnerReferences), func(r metav1.OwnerReference) bool {
		return r.Kind != "Service" || r.APIVersion != "v1" || slices.Contains(terms.Owners, r)
	})
}

// LetGo returns the Lease without these owners. The caller has seen that nothing is left on them: the
// Lease may be all that tells that the controller wrote to them.
func LetGo(l *coordinationv1.Lease, former []metav1.OwnerReference) *coordinationv1.Lease {
	next := l.DeepCopy()
	next.ManagedFields = nil
	next.OwnerReferences = slices.DeleteFunc(next.OwnerReferences, func(r metav1.OwnerReference) bool { return slices.Contains(former, r) })
	return next
}

// owned reports whether the Lease has the owners that it must have.
func owned(l *coordinationv1.Lease, terms Terms) bool {
	return apiequality.Semantic.DeepEqual(owners(l, terms), l.OwnerReferences)
}

// timed reports whether the Lease has the duration that it must have. While a contender has the
// Lease, that does not matter.
func timed(l *coordinationv1.Lease, terms Terms) bool {
	return Decode(l).Contender != "" || ptr.Equal(seconds(terms.Duration), l.Spec.LeaseDurationSeconds)
}

// seconds returns nil for a Lease that is never renewed.
func seconds(d time.Duration) *int32 {
	if d == 0 {
		return nil
	}
	return ptr.To(int32(d.Seconds()))
}

// RenewedOnly reports whether two versions of a Lease differ at most in their renewTime, and not
// in who renews it. Such a change moves nothing.
func RenewedOnly(before, now *coordinationv1.Lease) bool {
	return Contender(before) == Contender(now) && maps.Equal(before.Labels, now.Labels) && maps.Equal(before.Annotations, now.Annotations) &&
		apiequality.Semantic.DeepEqual(before.OwnerReferences, now.OwnerReferences) &&
		apiequality.Semantic.DeepEqual(withoutRenewal(before), withoutRenewal(now))
}

func withoutRenewal(l *coordinationv1.Lease) coordinationv1.LeaseSpec {
	spec := l.Spec
	spec.RenewTime = nil
	return spec
}
