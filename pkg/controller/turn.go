package controller

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

const (
	// recordTurn is how long a replica lets the one that wrote the Lease last make a decision, and
	// routeTurn how long it lets that route what it has decided. A write takes some milliseconds; a
	// replica that has died in between costs this much. Each lag adds up to half as much.
	recordTurn, routeTurn = 50 * time.Millisecond, 250 * time.Millisecond
	// firstTurn is how long at most, by its lag, a replica lets others make a Lease.
	firstTurn = 100 * time.Millisecond
	// longestTurn is how long at most an election waits in one go for this replica to take over
	// others: each time twice as long, so less than twice this in all.
	longestTurn = time.Second
	// turnOver is after how long a turn that nobody asks for is over: later than a write that fails
	// is tried again.
	turnOver = retryMax + time.Second
)

// turns spares replicas to do the same at the same time: of each election, the one that wrote
// the Lease last goes on with it at once, and the others only if it does not. They would only
// make conflicts, which takes the API server as long as what they are about.
type turns struct {
	now func() time.Time
	// lag is that of road.
	lag  func(key) float64
	lock sync.Mutex
	// wrote has the marks of the Leases as this replica has written them last.
	wrote map[key]string
	// next is of each election for what is decided and for what is routed, by the usual wait.
	next map[key]map[time.Duration]turn
	// taken are elections with which this replica goes on now although they are another's, and alone
	// counts those that it has decided so since it heard of another's decision. When many masters
	// fail, the replica whose turn it is needs longer. So at first one election is taken over at a
	// time, and twice as many each time if the other replica is not heard of.
	taken sets.Set[key]
	alone int
}

// marks are what a replica writes into the Lease with each decision and renewal, and users do not
// touch: an edit of the holder leaves the turn where it was.
func marks(l *coordinationv1.Lease) string {
	return l.Annotations[api.AnnotationRecord] + " " + lease.Renewed(l).String()
}

// turn is when this replica may go on with an election as it is recorded in the Lease. Nothing else
// that is written there begins it anew, or whoever may write to it could put off all moves.
type turn struct {
	record string
	at     time.Time
	// lasts is how long before that it was put off.
	lasts time.Duration
	// asked is when the turn was asked for last.
	asked time.Time
}

func newTurns(now func() time.Time, lag func(key) float64) *turns {
	return &turns{now: now, lag: lag, wrote: map[key]string{}, next: map[key]map[time.Duration]turn{}, taken: sets.New[key]()}
}

// saw takes up the Lease that this replica has written.
func (t *turns) saw(k key, l *coordinationv1.Lease) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.wrote[k] = marks(l)
	if t.taken.Has(k) {
		t.alone++
	}
}

// own reports whether this replica wrote the Lease last.
func (t *turns) own(k key, l *coordinationv1.Lease) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.wroteLast(k, l)
}

// wroteLast is own for who holds the lock.
func (t *turns) wroteLast(k key, l *coordinationv1.Lease) bool {
	own, found := t.wrote[k]
	return found && own == marks(l)
}

// heard takes up a decision that the watch shows, and that this replica is not about to write
// itself.
func (t *turns) heard(k key, l *coordinationv1.Lease) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.wrote[k] != marks(l) {
		t.alone = 0
	}
}

// ended is told that this replica has done for now what it could for the election.
func (t *turns) ended(k key) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.taken.Delete(k)
}

func (t *turns) forget(k key) {
	t.lock.Lock()
	defer t.lock.Unlock()
	delete(t.wrote, k)
	delete(t.next, k)
}

// wait returns for how long to leave the election to another replica; 0 if it is this one's
// turn. usual is how long the other one may take.
func (t *turns) wait(k key, l *coordinationv1.Lease, usual time.Duration) time.Duration {
	t.lock.Lock()
	defer t.lock.Unlock()
	record, after := "", time.Duration(t.lag(k)*float64(firstTurn))
	if l != nil {
		record, after = "of "+l.Annotations[api.AnnotationRecord], usual+time.Duration(t.lag(k)/2*float64(usual))
		if t.wroteLast(k, l) {
			return 0
		}
	}
	now := t.now()
	known, found := t.next[k][usual]
	if !found || known.record != record || now.After(known.asked.Add(turnOver)) {
		known = turn{record: record, at: now.Add(after), lasts: after}
	}
	if l != nil && !known.at.After(now) {
		if twice := 2 * known.lasts; t.taken.Has(k) || t.taken.Len() <= t.alone || twice > longestTurn {
			t.taken.Insert(k)
		} else {
			known.at, known.lasts = now.Add(twice), twice
		}
	}
	known.asked = now
	if t.next[k] == nil {
		t.next[k] = map[time.Duration]turn{}
	}
	t.next[k][usual] = known
	return max(0, known.at.Sub(now))
}
