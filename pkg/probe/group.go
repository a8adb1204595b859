package probe

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// slowness is how many times as long as the master's interval the standbys' is.
	// There may be many standbys, and all of them are asked when it matters.
	slowness = 4
	// jitter keeps the questions to standbys from coming together.
	jitter = 0.25
	// lead is how long before the master the standbys are asked at the master's first
	// failure. Their answers then show that the master could have answered too.
	lead = time.Millisecond
)

// group is the pods of one election that are probed: all are asked from the same place, each
// what its probe says. A standby that answers shows that the master is to blame for its
// own silence, and not the network of this process.
//
// This is how a master that hangs is suspected, with an interval and a timeout of 200 ms
// and two failures:
//
//	  0 ms  asked      the master (last)
//	  1 ms  answered   by the master (good is 0 ms)
//	200 ms  asked      the master, which hangs from now on
//	400 ms  missed     by the master (missed is 200 ms, failing is 400 ms)
//	400 ms  asked      the standbys, which are Unknown until one of them confirms
//	401 ms  answered   by a standby (confirmed is 400 ms)
//	401 ms  asked      the master, a lead after the standbys
//	601 ms  missed     by the master (missed is 401 ms)
//	601 ms  suspected  the master. The standby is Answering, because the master has
//	                   missed a question that was asked later (401 ms) than one that
//	                   the standby has answered (400 ms)
//
// The questions stay open. An answer of the master to any of them before 601 ms would
// have shown that it is slow, and begun all anew.
type group struct {
	key    types.NamespacedName
	budget *budget
	pods   map[types.UID]*pod
	master *pod
	// accused is the pod that was suspected last while it was the master, until it
	// answers. If its answer shows that it was slow, the other pods may be slow too: pace
	// is the longest such silence.
	accused *pod
	pace    pace
}

// failing is since when the master fails, if that is another pod than p. It is zero if
// the master is fine, if p is the master, and if there is none.
func (g *group) failing(p *pod) time.Time {
	if g.master == nil || g.master == p {
		return time.Time{}
	}
	return g.master.failing
}

// look counts the questions that a pod has missed.
func (g *group) look(p *pod, now time.Time) {
	p.look(now)
	g.judged(p)
}

// hear records the answer of a pod to a question.
func (g *group) hear(p *pod, q *question, now time.Time, err error) {
	good := p.good
	silence := p.hear(q, now, err, p.enough())
	if !p.good.Equal(good) {
		p.hearClaim(q.claim, now)
		if p == g.accused {
			g.pace.learn(silence, now)
			g.accused = nil
		}
		// A late answer shows nothing of the master, which may have been as far out of reach
		// within its timeout, which may be shorter.
		if p.confirmed.Before(g.failing(p)) && !now.After(q.asked.Add(min(p.timeout, g.master.timeout))) {
			p.confirmed = q.asked
		}
	}
	g.judged(p)
}

// judged draws the conclusions from the failures of a pod.
func (g *group) judged(p *pod) {
	if p.fails > 0 {
		p.confirmed = time.Time{}
	}
	if p == g.master && p.suspected {
		g.accused = p
	}
}

// state is a pod's state in view of the master's. While the master fails, a pod that
// does not confirm this is Unknown: perhaps no pod can be reached from here any longer.
func (g *group) state(p *pod) State {
	state, since := p.state(), g.failing(p)
	if state == Answering && !since.IsZero() && !g.confirms(p, since) {
		return Unknown
	}
	return state
}

// confirms reports whether the pod's answers show that the master alone has been failing
// since then: the master has missed a question that was asked no sooner than one that
// the pod has answered. Otherwise both may have been out of reach until a moment ago.
func (g *group) confirms(p *pod, since time.Time) bool {
	return !p.confirmed.Before(since) && !g.master.missed.Before(p.confirmed)
}

// due is when to ask a pod next.
func (g *group) due(p *pod) (due time.Time) {
	since := g.failing(p)
	// It matters now whether the pod answers.
	matters := p.state() == Answering && !since.IsZero()
	switch {
	case p.last.IsZero():
		return later(p.first, p.blocked)
	case matters && p.last.Before(since):
		return later(since, p.blocked)
	case p == g.master && p.last.Add(p.Probe.Interval).Before(p.failing.Add(lead)):
		due = p.failing.Add(lead)
	case p == g.master, p.inDoubt(), matters && (g.master.inDoubt() || p.confirmed.Before(since)):
		due = p.last.Add(p.Probe.Interval)
	default:
		due = p.last.Add(p.slow)
	}
	return later(later(due, p.blocked), p.timely())
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// next is when to look at a pod or to ask it.
func (g *group) next(p *pod, now time.Time) time.Time {
	due := g.due(p)
	if look := p.next(now); !look.IsZero() && look.Before(due) {
		return look
	}
	return due
}

// missed is when the master was asked the latest question that it missed; zero if the
// master is fine or there is none. What matters of the master to the other pods changes
// only together with this.
func (g *group) missed() time.Time {
	if g.master == nil {
		return time.Time{}
	}
	return g.master.missed
}

// suspected counts the pods that are suspected.
func (g *group) suspected() (count int) {
	for _, p := range g.pods {
		if p.suspected {
			count++
		}
	}
	return count
}

// news reports whether a pod's state is another than was told last, and remembers it as
// told.
func (g *group) news(p *pod) bool {
	state := g.state(p)
	news := state != p.told
	p.told = state
	return news
}

// adopt makes the targets the group's pods, and reports whether that changes anything.
func (g *group) adopt(targets []Target, now time.Time) (changed bool) {
	before, master := g.pods, g.master
	g.pods, g.master = make(map[types.UID]*pod, len(targets)), nil
	for _, target := range targets {
		if !target.askable() {
			continue
		}
		p := before[target.Pod]
		if p == nil || p.Address != target.Address || p.Probe != target.Probe {
			p, changed = g.begin(target, p, now), true
		}
		if target.Master && !p.Master {
			p.restart(now)
		}
		p.Master = target.Master
		g.pods[target.Pod] = p
		if target.Master {
			g.master = p
		}
	}
	for uid, p := range before {
		if p.gone = g.pods[uid] != p; p.gone {
			p.breakOff(len(p.open))
			changed = true
		}
	}
	return changed || g.master != master
}

// begin makes a pod of which nothing is known. It takes the place of the pod before,
// unless that is nil. Its first question comes at random within an interval, so that a
// process that has just started does not ask all pods at once.
func (g *group) begin(target Target, before *pod, now time.Time) *pod {
	p := &pod{Target: target, in: g, detector: newDetector(target.Probe, &g.pace), first: now.Add(wait.Jitter(target.Probe.Interval, 1) - target.Probe.Interval)}
	if before != nil {
		p.told = before.told
	}
	return p
}
