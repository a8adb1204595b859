package probe

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// State is what is known of a pod from its answers.
type State string

const (
	// Unknown is the state of a pod of which nothing is known yet, or nothing for the
	// moment: while the master fails, a standby is Answering only once it has answered
	// a question that was asked since.
	Unknown State = ""
	// Answering is the state of a pod that answers, or that has missed too few answers
	// to be suspected.
	Answering State = "Answering"
	// Suspected is the state of a pod that has answered, and has then failed as often
	// in a row as its probe allows.
	Suspected State = "Suspected"
	// NeverAnswered is the state of a pod that has failed often, and has not answered
	// once. It may be all right: a NetworkPolicy keeps the controller out, the port is
	// wrong, or the pod has yet to start.
	NeverAnswered State = "NeverAnswered"
)

// neverAfter is how many failures tell a pod that never answers from one that is about
// to. If its probe allows more failures, that many do.
const neverAfter = 10

// Target is a pod to ask.
type Target struct {
	Pod types.UID
	// Address is the pod's IP. A pod without an address is not asked.
	Address string
	Master  bool
	Probe   api.Probe
}

// askable reports whether the target has an address and a probe. The empty address is
// that of this machine.
func (t Target) askable() bool { return t.Address != "" && t.Probe != api.Probe{} }

// pod is a target, and what is known of it.
type pod struct {
	Target
	in *group
	// gone is set once the pod is no longer a target. Its answers are dropped then.
	gone bool
	// first is when to ask the first question, and last when the latest one was asked;
	// zero if there is none.
	first, last time.Time
	// slow is the time from the last question to the next one, if there is no hurry.
	slow time.Duration
	// blocked is until when the pod must wait for a worker, or for the budget of its namespace.
	blocked time.Time
	// told is the state that was told last.
	told State
	// confirmed is when the first of the questions was asked that the pod has answered
	// well since the master began to fail, without a failure in between; zero if there
	// is none.
	confirmed time.Time
	// claim is the priority that the latest good answer claims; empty if it claims none. wrong is
	// a claim that was not valid, and wrongly when the latest such claim came.
	claim, wrong string
	wrongly      time.Time
	detector
}

// restart forgets the answers of a pod that becomes the master, and asks it at once. A
// master is suspected only if it has answered as the master. Otherwise two replicas of
// the controller that each reach another pod would move the master back and forth for
// ever.
func (p *pod) restart(now time.Time) {
	p.detector.restart()
	p.first, p.last, p.confirmed, p.blocked = now, time.Time{}, time.Time{}, time.Time{}
}

// enough is how many good answers in a row end the pod's suspicion. The first one of a
// master does: it serves, and moving it would need a reason.
func (p *pod) enough() int {
	if p.Master {
		return 1
	}
	return recovery
}

// state is the pod's state from its own answers, whatever the master does.
func (p *pod) state() State {
	switch {
	case p.suspected:
		return Suspected
	case p.answered():
		return Answering
	case p.fails >= max(p.Probe.Failures, neverAfter):
		return NeverAnswered
	}
	return Unknown
}

// inDoubt reports whether the next few answers may change the pod's state.
func (p *pod) inDoubt() bool {
	switch p.state() {
	case Suspected:
		return p.goods > 0
	case NeverAnswered:
		return false
	default:
		return p.fails > 0
	}
}

// silent reports whether the pod is not expected to answer.
func (p *pod) silent() bool {
	state := p.state()
	return (state == Suspected || state == NeverAnswered) && !p.inDoubt()
}

// lifetime is for how long a question to the pod stays open. A pod that is not expected
// to answer gets as long as it takes to suspect one.
func (p *pod) lifetime(spare bool) time.Duration {
	patient := p.Probe.Timeout + lateness
	switch {
	case p.silent():
		return min(patient, time.Duration(p.Probe.Failures)*p.Probe.Timeout)
	case spare:
		return patient
	}
	return p.Probe.Timeout
}
