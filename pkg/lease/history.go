package lease

import (
	"encoding/json"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// MovesKept is of how many moves the Lease tells. Ten take about 1.5 kB, and show a night.
const MovesKept = 10

// Move is a change of the holder, as the Lease remembers it.
type Move struct {
	Epoch int32            `json:"epoch"`
	Time  metav1.MicroTime `json:"time"`
	// From and To are names of pods. From is empty if there was no master before, or if its
	// name is unknown.
	From   string          `json:"from,omitempty"`
	To     string          `json:"to"`
	Action election.Action `json:"action"`
	Reason election.Reason `json:"reason"`
}

// Decision returns the decision that the move was, as far as the Lease remembers it; its
// Message says the move in a sentence.
func (m Move) Decision() election.Decision {
	return election.Decision{Action: m.Action, Reason: m.Reason, Holder: m.To, Epoch: m.Epoch, Previous: m.From}
}

// History returns the last moves, the oldest first. It is empty if the Lease does not
// tell, or tells what cannot be read: nothing but what people see depends on it.
func History(l *coordinationv1.Lease) []Move {
	var moves []Move
	if l == nil || json.Unmarshal([]byte(l.Annotations[api.AnnotationHistory]), &moves) != nil {
		return nil
	}
	return moves
}

func addMove(l *coordinationv1.Lease, d election.Decision, at metav1.MicroTime) {
	moves := append(History(l), Move{Epoch: d.Epoch, Time: at, From: d.Previous, To: d.Holder, Action: d.Action, Reason: d.Reason})
	encoded, err := json.Marshal(moves[max(0, len(moves)-MovesKept):])
	if err != nil {
		// A Move has nothing that cannot be encoded.
		panic(err)
	}
	l.Annotations[api.AnnotationHistory] = string(encoded)
}
