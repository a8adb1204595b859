package probe

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// slowness is how many times as long as the master's the standbys' intervals are:
	// there may be many of them, and all are asked at once when it matters.
	slowness = 4
	// jitter keeps the questions to standbys from coming together.
	jitter = 0.25
	// lead is how long before the master the standbys are asked when it fails first: so
	// what they answer shows that it could have, too.
	lead = time.Millisecond
)

// election is the pods of an election, which are asked the same from the same place.
type election struct {
	key    types.NamespacedName
	pods   map[types.UID]*pod
	master *pod
}

// failing is since when the pod's master, another pod, fails; zero if it does not.
func (e *election) failing(p *pod) time.Time {
	if e.master == nil || e.master == p {
		return time.Time{}
	}
	return e.master.failing
}

// hear takes in an answer of a pod.
func (e *election) hear(p *pod, asked, noticed time.Time, err error) {
	p.hear(asked, noticed, err)
	if since := e.failing(p); err == nil && p.confirmed.Before(since) {
		p.confirmed = asked
	}
}

// state is what a pod's answers say in view of the master's: if that fails, it may
// be that nobody can be reached from here any more.
func (e *election) state(p *pod) State {
	state, since := p.state(), e.failing(p)
	if state == Answering && !since.IsZero() && !e.confirms(p, since) {
		return Unknown
	}
	return state
}

// confirms says whether the pod shows that it is the master that fails, since then:
// the master has missed a question that was asked no sooner than one that the pod has
// answered. Otherwise both may have been out of reach until a moment ago.
func (e *election) confirms(p *pod, since time.Time) bool {
	return !p.confirmed.Before(since) && !e.master.missed.Before(p.confirmed)
}

// due is when to ask a pod next.
func (e *election) due(p *pod) time.Time {
	since := e.failing(p)
	// Whether it answers matters now.
	matters := p.state() == Answering && !since.IsZero()
	switch {
	case p.last.IsZero():
		return p.first
	case matters && p.last.Before(since):
		return since
	case p == e.master && p.last.Add(p.Probe.Interval).Before(p.failing.Add(lead)):
		return p.failing.Add(lead)
	case p == e.master, p.inDoubt(), matters && (e.master.inDoubt() || p.good.Before(since)):
		return p.last.Add(p.Probe.Interval)
	default:
		return p.last.Add(p.slow)
	}
}

// missed is when the master was asked what it failed to answer last; zero if it is
// fine. All that matters of it to the others changes with that.
func (e *election) missed() time.Time {
	if e.master == nil {
		return time.Time{}
	}
	return e.master.missed
}

// news says whether there is any to tell of a pod.
func (e *election) news(p *pod) bool {
	state := e.state(p)
	news := state != p.told
	p.told = state
	return news
}

// adopt takes over which pods there are, and says whether that is anything new.
func (e *election) adopt(targets []Target, now time.Time) (changed bool) {
	before, master := e.pods, e.master
	e.pods, e.master = make(map[types.UID]*pod, len(targets)), nil
	for _, target := range targets {
		if !target.asked() {
			continue
		}
		p := before[target.Pod]
		if p == nil || p.Address != target.Address || p.Probe != target.Probe {
			p, changed = e.begin(target, p, now), true
		}
		if target.Master && !p.Master {
			p.restart(now)
		}
		p.Master = target.Master
		e.pods[target.Pod] = p
		if target.Master {
			e.master = p
		}
	}
	for uid, p := range before {
		p.gone = e.pods[uid] != p
		changed = changed || p.gone
	}
	return changed || e.master != master
}

// begin is a pod of which nothing is known, in place of another if that is not nil.
// Those of a process that has just been started are not all asked at once.
func (e *election) begin(target Target, before *pod, now time.Time) *pod {
	p := &pod{Target: target, in: e, first: now.Add(wait.Jitter(target.Probe.Interval, 1) - target.Probe.Interval)}
	if before != nil {
		p.told = before.told
	}
	return p
}
