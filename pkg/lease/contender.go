package lease

import (
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Contender returns the field manager of another program that holds the Lease as its own, as an
// application does that runs client-go's leader election on a Lease of the same name; empty if
// there is none. Such a program renews the Lease. A user who edits the holder does not, unless
// with an old manifest, which leaves the transitions and the duration as they are.
func Contender(l *coordinationv1.Lease) string {
	if l == nil {
		return ""
	}
	i := slices.IndexFunc(l.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != api.ManagedBy && wrote(e, "renewTime") && (!wrote(e, "holderIdentity") || wrote(e, "leaseTransitions") || wrote(e, "leaseDurationSeconds"))
	})
	if i < 0 {
		return ""
	}
	return l.ManagedFields[i].Manager
}

// Contention returns those of the Lease's managed fields that tell of a contender and of an edit
// of the holder since; nil if there is no contender.
func Contention(l *coordinationv1.Lease) (kept []metav1.ManagedFieldsEntry) {
	if Contender(l) == "" {
		return nil
	}
	for _, e := range l.ManagedFields {
		if e.Manager != api.ManagedBy && (wrote(e, "renewTime") || wrote(e, "holderIdentity")) {
			kept = append(kept, e)
		}
	}
	return kept
}

func wrote(e metav1.ManagedFieldsEntry, field string) bool {
	return e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:`+field+`"`)
}

// contend replaces what the contender has written into the Lease by what the controller has
// recorded beside that. A holder that a user has written since stays, because it is a request.
// Where there is no record, because there has not been a master, the epoch is the contender's:
// none may be lower than what the controller has written. Nothing is replaced in the Lease of an
// older version, which has no record of its master.
func contend(record *election.Lease, l *coordinationv1.Lease) {
	contender := Contender(l)
	epoch, _, found := Recorded(l)
	if contender == "" || record.Foreign || !found && record.HolderUID != "" {
		return
	}
	record.Contender, record.Duration, record.Acquired = contender, 0, time.Time{}
	if found {
		record.Epoch = epoch
	}
	edited := slices.ContainsFunc(l.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != api.ManagedBy && e.Manager != contender && wrote(e, "holderIdentity")
	})
	last, moved := LastMove(l)
	if moved {
		record.Acquired = last.Time.Time
	}
	if !edited {
		record.Holder = last.To
	}
}

// LastMove returns the move by which the recorded holder became master; false if the Lease does
// not tell of it.
func LastMove(l *coordinationv1.Lease) (last Move, found bool) {
	epoch, _, _ := Recorded(l)
	moves := History(l)
	if len(moves) == 0 || moves[len(moves)-1].Epoch != epoch {
		return Move{}, false
	}
	return moves[len(moves)-1], true
}

// reclaim takes the times out of the Lease that a contender has written. A holder that is not
// eligible must not rely on them.
func reclaim(l *coordinationv1.Lease, now time.Time) {
	acquired := metav1.NewMicroTime(now)
	if last, moved := LastMove(l); moved {
		acquired = last.Time
	}
	l.Spec.AcquireTime, l.Spec.RenewTime = &acquired, nil
}

// contention is how long the controller leaves a Lease to a contender that no longer renews it.
const contention = time.Minute

// Sighting is when a replica has first seen the renewal that a contender made last, by its own
// clock. The zero value is of no contender.
type Sighting struct {
	Renewed, At time.Time
}

// See returns the sighting of the Lease as it is now; s is the one before.
func (s Sighting) See(l *coordinationv1.Lease, now time.Time) Sighting {
	switch {
	case Decode(l).Contender == "":
		return Sighting{}
	case !s.At.IsZero() && s.Renewed.Equal(Renewed(l)):
		return s
	default:
		return Sighting{Renewed(l), now}
	}
}

// Yield returns for how long the controller leaves the Lease to the contender; 0 if there is
// none, or none any longer.
func (s Sighting) Yield(now time.Time) time.Duration {
	if s.At.IsZero() {
		return 0
	}
	return max(0, contention-max(0, now.Sub(s.At)))
}

// Taken reports whether the Lease names another holder than the one decided on, because a
// contender has taken it, and since when it does.
func Taken(l *coordinationv1.Lease, d election.Decision) (since time.Time, taken bool) {
	if Decode(l).Contender == "" || ptr.Deref(l.Spec.HolderIdentity, "") == d.Holder {
		return time.Time{}, false
	}
	return ptr.Deref(l.Spec.AcquireTime, metav1.MicroTime{}).Time, true
}
