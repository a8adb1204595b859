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

const (
	// recovery is how many good answers in a row end the suspicion of a standby: one
	// that answers every other question should not come and go.
	recovery = 3
	// neverAfter is how many failures tell a pod that never answers from one that is
	// about to. If its probe allows more failures, that many do.
	neverAfter = 10
	// leniency is how long after its timeout the failure of a question may be noticed
	// and still count. Noticing takes a millisecond or two; in a process that lacked CPU
	// time, it took more than 80 ms for half of the failures.
	leniency = 25 * time.Millisecond
)

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
	// first is when to ask the first question.
	first time.Time
	// slow is the time from the last question to the next one, if there is no hurry.
	slow time.Duration
	// told is the state that was told last.
	told State
	record
}

// record is what is known of a pod from its answers.
type record struct {
	// last is when the latest question was asked, and good when the latest one was asked
	// that was answered well; zero if there is none.
	last, good time.Time
	// fails counts the failures since the latest good answer, and goods the good
	// answers since the latest failure.
	fails, goods int
	suspected    bool
	// failing is when the first of those failures was noticed that made the pod
	// suspected, or may yet do so. missed is when the latest question was asked that the
	// pod missed, and err is why. All are zero if the pod is fine.
	failing, missed time.Time
	err             error
	// confirmed is when the first of the questions was asked that the pod has answered
	// well since the master began to fail, without a failure in between; zero if there
	// is none.
	confirmed time.Time
}

// hear records the answer to a question that was asked at one time, noticed at another.
// The first good answer of a master ends its suspicion: it serves, and moving it would
// need a reason. A standby needs more of them (recovery).
func (p *pod) hear(asked, noticed time.Time, err error) {
	if err != nil {
		p.fails++
		p.goods, p.missed, p.confirmed, p.err = 0, asked, time.Time{}, err
		if p.failing.IsZero() {
			p.failing = noticed
		}
		p.suspected = p.suspected || p.answered() && p.fails >= p.Probe.Failures
		return
	}
	p.goods++
	p.good, p.fails = asked, 0
	if !p.suspected || p.Master || p.goods >= recovery {
		p.suspected, p.failing, p.missed, p.err = false, time.Time{}, time.Time{}, nil
	}
}

// restart forgets the record of a pod that becomes the master, and asks it at once. A
// master is suspected only if it has answered as the master. Otherwise two replicas of
// the controller that each reach another pod would move the master back and forth for
// ever.
func (p *pod) restart(now time.Time) { p.record, p.first = record{}, now }

// answered reports whether the pod has ever answered well.
func (p *pod) answered() bool { return !p.good.IsZero() }

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

// counts reports whether the answer to a question, which took so long, shows anything
// about the pod. A failure of this process or its machine does not. A failure that was
// noticed long after the timeout does not either: this process was suspended, or lacked
// CPU time.
func counts(took, timeout time.Duration, err error) bool {
	return err == nil || !ours(err) && took <= timeout+leniency
}
