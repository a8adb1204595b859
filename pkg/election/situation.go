package election

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// situation is a View with what several rules need to know of it.
type situation struct {
	View
	// incumbent is the master according to the Lease, or according to the trace if the Lease
	// does not say. It is nil if that pod is gone, if the Lease is vacant, or if there never was a
	// master; had tells the last apart.
	incumbent *Candidate
	had       bool
	// requested is the pod that a user wrote into the Lease, now or before; nil if there is
	// none or it is refused.
	requested *Candidate
	refused   *Refusal
	// best is the first eligible candidate in order; nil if there is none.
	best *Candidate
}

// believable returns the candidates with Unresponsive cleared if it proves nothing: if no pod
// that could be master answers, it may be the controller that reaches no pod. Then only their
// state in Kubernetes counts.
func believable(candidates []Candidate) []Candidate {
	if slices.ContainsFunc(candidates, func(c Candidate) bool { return c.Answers && c.Ineligible() == "" }) {
		return candidates
	}
	candidates = slices.Clone(candidates)
	for i := range candidates {
		candidates[i].doubted, candidates[i].Unresponsive = candidates[i].Unresponsive, false
	}
	return candidates
}

// labelled returns the candidates with Refused cleared if no eligible pod can be labelled: no
// other pod would do better.
func labelled(candidates []Candidate) []Candidate {
	if slices.ContainsFunc(candidates, func(c Candidate) bool { return c.Ineligible() == "" }) {
		return candidates
	}
	candidates = slices.Clone(candidates)
	for i := range candidates {
		candidates[i].Refused = false
	}
	return candidates
}

func newSituation(view View) situation {
	view.Candidates = compareRevisions(labelled(believable(view.Candidates)))
	s := situation{View: view, best: best(view.Candidates)}
	if uid := cmp.Or(view.Lease.HolderUID, view.Trace.HolderUID); uid != "" {
		s.had = true
		// Where a master must stop before another follows, the last one that is known is asked for all the same.
		if !view.Lease.Vacant || view.Settings.AfterTermination || view.Settings.LeaseDuration > 0 {
			s.incumbent = s.find(func(c Candidate) bool { return c.UID == uid })
		}
	}
	asked := view.Lease.Next
	switch {
	case view.Lease.Foreign:
		asked = ""
	case s.edited():
		asked = view.Lease.Holder
	}
	if asked != "" && (s.incumbent == nil || s.incumbent.Name != asked) {
		s.requested = s.find(func(c Candidate) bool { return c.Name == asked })
		if why := s.refuses(s.requested); why != "" {
			s.requested, s.refused = nil, &Refusal{asked, why}
		}
	}
	return s
}

// refuses returns why the pod that a user asked for cannot become master; empty if it can.
// c is nil if there is no such pod.
func (s situation) refuses(c *Candidate) Reason {
	switch {
	case c == nil:
		return HolderGone
	case c.Ineligible() != "":
		return c.Ineligible()
	case s.epochOf(c.UID) > api.MaxEpoch:
		return EpochsExhausted
	case s.Settings.Paused:
		return ElectionPaused
	case s.leaves(c):
		return NodeUnschedulable
	case s.Settings.Failback != nil && *s.Settings.Failback == 0 && slices.ContainsFunc(s.preferredTo(c), func(p Candidate) bool { return p.Priority == c.Priority }):
		return PreferredEligible
	case s.Settings.AfterTermination && s.working() && !s.incumbent.Terminating && !s.deletable():
		return AwaitingTermination
	}
	return ""
}

// edited reports whether a user has written the Lease's holder. If the recorded pod is gone,
// its name does not tell: a pod of that name may be its next incarnation, which then counts
// as any other candidate.
func (s situation) edited() bool {
	switch {
	case !s.Lease.Exists || s.Lease.Foreign || s.Lease.Holder == "":
		return false
	case s.Lease.Forged:
		return true
	case s.incumbent == nil:
		return s.Lease.HolderUID == ""
	default:
		return s.incumbent.Name != s.Lease.Holder
	}
}

func (s situation) find(match func(Candidate) bool) *Candidate {
	for i := range s.Candidates {
		if match(s.Candidates[i]) {
			return &s.Candidates[i]
		}
	}
	return nil
}

// leaves reports whether the pod, as master, would make room for a pod that would not soon
// have to go. It does not where the move itself would interrupt as an eviction does.
func (s situation) leaves(c *Candidate) bool {
	return c.Draining && s.best != nil && !s.best.Draining && !s.MovesLose && !s.Settings.AfterTermination && !s.Settings.StayOnCordon
}

// epochOf returns the epoch in which uid is, or becomes, the holder: the one that is recorded
// for it, or else one that has had no holder. A Lease that is gone may have said one more epoch
// than the traces know, with any holder: no Lease gets ahead of them by two.
func (s situation) epochOf(uid types.UID) int32 {
	switch {
	case !s.Lease.Exists && s.Trace.Stamped:
		return max(s.Lease.Epoch, s.Trace.Epoch) + 2
	case uid == s.Lease.HolderUID && s.Lease.Epoch >= s.Trace.Epoch && !s.Lease.Spent:
		return s.Lease.Epoch
	case uid != s.Trace.HolderUID || s.Trace.HolderEpoch < s.Trace.Epoch:
	case s.Trace.Epoch > s.Lease.Epoch, s.Trace.Epoch == s.Lease.Epoch && s.Lease.HolderUID == "":
		return s.Trace.Epoch
	}
	return max(s.Lease.Epoch, s.Trace.Epoch) + 1
}
