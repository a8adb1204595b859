package probe

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// State is what the answers of a pod say of it.
type State string

const (
	// Unknown is a pod of which nothing can be said yet, or not now: while the
	// master fails, a standby counts as Answering only once it has answered what it
	// was asked since.
	Unknown State = ""
	// Answering is a pod that answers, or has missed fewer answers than make it
	// suspected.
	Answering State = "Answering"
	// Suspected is a pod that has answered, and then failed to as often in a row as
	// its probe allows.
	Suspected State = "Suspected"
	// NeverAnswered is a pod that may be all right, but does not answer here:
	// a NetworkPolicy keeps the controller out, the port is wrong, or it has yet to
	// start.
	NeverAnswered State = "NeverAnswered"
)

const (
	// recovery is how many good answers in a row end a standby's suspicion: one that
	// answers every other question should not come and go.
	recovery = 3
	// neverAfter is how many failures, or as many as make it suspected if those are
	// more, tell a pod that never answers from one that is about to.
	neverAfter = 10
	// leniency is how long after its timeout the failure of a question may be noticed
	// for it to count. That takes a millisecond or two; in a process that lacks CPU
	// time, half of them took more than 80 ms.
	leniency = 25 * time.Millisecond
)

// Target is a pod to ask.
type Target struct {
	Pod types.UID
	// Address is the pod's IP; one without is not asked.
	Address string
	Master  bool
	Probe   api.Probe
}

// asked says whether it is to be asked at all.
func (t Target) asked() bool { return t.Address != "" && t.Probe != api.Probe{} }

// pod is a target, and what is known of it.
type pod struct {
	Target
	in *election
	// gone is set once it is no target any more; nothing matters to it then.
	gone bool
	// first is when to ask first.
	first time.Time
	// slow is how long after the last question the next one is, if there is no hurry.
	slow time.Duration
	// told is the state that was told last.
	told State
	record
}

// record is what is known of a pod from its answers.
type record struct {
	// last is when it was asked last, and good when it was asked what it answered last;
	// zero if never.
	last, good time.Time
	// fails counts the failures since the latest good answer, and goods the good
	// answers since the latest failure.
	fails, goods int
	suspected    bool
	// failing is when the first of the failures was noticed that made, or may make,
	// it suspected, missed when it was asked what it failed to answer last, and err
	// why; zero if it is fine.
	failing, missed time.Time
	err             error
	// confirmed is when it was asked the first of the questions that it has answered
	// since the master fails, without a failure in between; zero if none.
	confirmed time.Time
}

// hear takes in the answer, noticed at a time, to what was asked at another. A master's
// first good answer ends its suspicion: it serves, and to move it would need a reason.
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

// restart makes the record of a pod that becomes master begin anew, with a question at
// once. Only one that has answered as master can be missed here: otherwise two replicas
// of the controller that each reach another pod would take the master from each other
// for ever.
func (p *pod) restart(now time.Time) { p.record, p.first = record{}, now }

func (p *pod) answered() bool { return !p.good.IsZero() }

// state is what its own answers say.
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

// inDoubt says whether its state may change with the next few answers.
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

// silent says whether it is expected not to answer.
func (p *pod) silent() bool {
	state := p.state()
	return (state == Suspected || state == NeverAnswered) && !p.inDoubt()
}

// counts says whether the answer to a question that took so long says anything of
// the pod. A failure that was noticed long after the timeout does not: this process
// was suspended, or starved.
func counts(took, timeout time.Duration, err error) bool {
	return err == nil || !ours(err) && took <= timeout+leniency
}
