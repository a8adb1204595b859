package lease

import (
	"encoding/json"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// MovesKept is how many moves the Lease records. Ten take about 1.5 kB, and cover a night.
const MovesKept = 10

// historyMax is how many bytes the history may take. Names of pods are at most 253 bytes long.
const historyMax = 16 << 10

// Move is a change of the holder, as the Lease records it.
type Move struct {
	Epoch int32            `json:"epoch"`
	Time  metav1.MicroTime `json:"time"`
	// From and To are names of pods. From is empty if there was no master before, or if its
	// name is not known.
	From   string          `json:"from,omitempty"`
	To     string          `json:"to"`
	Action election.Action `json:"action"`
	Reason election.Reason `json:"reason"`
}

// Decision returns the decision that the move followed, without what the Lease does not
// record. Its Message is a sentence about the move.
func (m Move) Decision() election.Decision {
	return election.Decision{Action: m.Action, Reason: m.Reason, Holder: m.To, Epoch: m.Epoch, Previous: m.From}
}

// History returns the last moves, the oldest first. It returns none if the Lease records none
// or its record cannot be read; only what users see depends on it.
func History(l *coordinationv1.Lease) []Move {
	var moves []Move
	if l == nil || json.Unmarshal([]byte(l.Annotations[api.AnnotationHistory]), &moves) != nil {
		return nil
	}
	return moves
}

// deletionsKept is how many moves within a minute may each be followed by the deletion of a pod.
const deletionsKept = 5

// DeletionPause returns for how long no pod must be deleted, because the master has moved too
// often within the last minute. Where every new pod fails, deleting one after the other helps
// nobody. Moves of the future say nothing: whoever wrote them had another clock.
func DeletionPause(l *coordinationv1.Lease, now time.Time) time.Duration {
	moves := History(l)
	if len(moves) <= deletionsKept {
		return 0
	}
	passed := now.Sub(moves[len(moves)-1-deletionsKept].Time.Time)
	if passed < 0 {
		return 0
	}
	return time.Minute - min(max(passed, 0), time.Minute)
}

// movesApart is how long after its last move the master moves again once it has made all the
// moves that the Lease keeps within a minute: as often on average.
const movesApart = time.Minute / MovesKept

// MovePause returns for how long the master must not move, because it has moved too often. Each
// move costs the API server a dozen writes, and pods that fail in turn would make them for ever. Moves of the
// future say nothing: a clock that is wrong must not keep a master from being followed.
func MovePause(l *coordinationv1.Lease, now time.Time) time.Duration {
	moves := History(l)
	if len(moves) < MovesKept || now.Sub(moves[0].Time.Time) >= time.Minute || moves[0].Time.After(now) {
		return 0
	}
	passed := now.Sub(moves[len(moves)-1].Time.Time)
	return movesApart - min(max(passed, 0), movesApart)
}

// addMove records the move, and drops the oldest beyond MovesKept.
func addMove(l *coordinationv1.Lease, d election.Decision, at metav1.MicroTime) {
	moves := append(History(l), Move{Epoch: d.Epoch, Time: at, From: d.Previous, To: d.Holder, Action: d.Action, Reason: d.Reason})
	encoded, err := json.Marshal(moves[max(0, len(moves)-MovesKept):])
	if err != nil {
		// Every Move can be encoded.
		panic(err)
	}
	if len(encoded) > historyMax {
		// A user's text has come in by the holder or by an edit. What only people read must
		// not make the API server refuse the Lease.
		delete(l.Annotations, api.AnnotationHistory)
		return
	}
	l.Annotations[api.AnnotationHistory] = string(encoded)
}
