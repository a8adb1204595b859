package probe

import (
	"cmp"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Answer is what the latest good answer of a pod says.
type Answer struct {
	// Claim is the priority that it claims, as its api.HeaderPriority has it; empty if it claims none.
	Claim string
	// Wrong is a claim of the pod lately that is not valid; empty if there is none.
	Wrong string
}

// wrongFor is for how long a claim that is not valid is remembered. It bounds how many events a pod
// can cause that answers with other nonsense each time.
const wrongFor = 5 * time.Minute

// hearClaim records what a good answer claims.
func (p *pod) hearClaim(claim string, now time.Time) {
	p.claim = claim
	if _, wrong := api.ParsePriority(claim); claim != "" && wrong != "" {
		if p.wrong == "" || now.Sub(p.wrongly) > wrongFor {
			p.wrong = claim
		}
		p.wrongly = now
	}
}

// answer returns what the pod's latest good answer says. It is fresh if a pod that fails would not
// be suspected yet: a standby is asked within a slow interval, and is suspected after some failures.
func (p *pod) answer(now time.Time) (answer Answer, fresh bool) {
	window := time.Duration(slowness*(1+jitter)*float64(p.Probe.Interval)) + time.Duration(p.Probe.Failures)*max(p.Probe.Interval, p.Probe.Timeout)
	if p.state() != Answering || now.Sub(p.good) > window {
		return Answer{}, false
	}
	answer.Claim = p.claim
	if now.Sub(p.wrongly) <= wrongFor {
		answer.Wrong = p.wrong
	}
	return answer, true
}

// reorders reports whether the election must hear that the pod claims something else than before:
// another pod is higher than the master now, or what is valid has changed. Numbers that grow on
// both sides are no news.
func (g *group) reorders(p *pod, before string) bool {
	if p.claim == before {
		return false
	}
	was, wasWrong := api.ParsePriority(before)
	is, isWrong := api.ParsePriority(p.claim)
	if wasWrong != isWrong {
		return true
	}
	if wasWrong != "" {
		return false
	}
	for _, other := range g.pods {
		if other == p || p != g.master && other != g.master {
			continue
		}
		// The annotation of a pod that claims nothing is not known here.
		number, wrong := api.ParsePriority(other.claim)
		if wrong != "" || cmp.Compare(number, was) != cmp.Compare(number, is) {
			return true
		}
	}
	return false
}
