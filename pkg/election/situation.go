package election

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// situation is a View with what several rules ask for.
type situation struct {
	View
	// incumbent is who is master by the record: by the Lease, or by the trace
	// where the Lease doesn't say. It is nil if that pod is gone, and also if
	// there never was a master; had tells these apart.
	incumbent *Candidate
	had       bool
	// requested is the pod that somebody wrote into the Lease, now or before, nil if
	// nobody did or it is refused.
	requested *Candidate
	refused   *Refusal
	// best is the first eligible candidate in order, nil if there is none.
	best *Candidate
}

// believable are the candidates without what the probes cannot tell: if nobody who
// could be master answers, then it may be the controller that cannot reach them, and
// what Kubernetes says of them decides alone.
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

func newSituation(view View) situation {
	view.Candidates = believable(view.Candidates)
	s := situation{View: view, best: best(view.Candidates)}
	if uid := cmp.Or(view.Lease.HolderUID, view.Trace.HolderUID); uid != "" {
		s.had = true
		s.incumbent = s.find(func(c Candidate) bool { return c.UID == uid })
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

// refuses says why the pod, nil if there is none, cannot become master although
// somebody asked for it; empty if it can.
func (s situation) refuses(c *Candidate) Reason {
	switch {
	case c == nil:
		return HolderGone
	case c.Ineligible() != "":
		return c.Ineligible()
	case s.Settings.Paused:
		return ElectionPaused
	case s.leaves(c):
		return NodeUnschedulable
	case s.Settings.Failback != nil && *s.Settings.Failback == 0 && best(s.preferredTo(c)) != nil:
		return PreferredEligible
	case s.Settings.AfterTermination && s.working() && !s.incumbent.Terminating && !s.deletable():
		return AwaitingTermination
	}
	return ""
}

// edited says whether the Lease's holder was written by somebody else. If the
// recorded pod is gone the name alone cannot tell: it may be the same pod's
// next incarnation, which the order of candidates then judges as any other.
func (s situation) edited() bool {
	switch {
	case !s.Lease.Exists || s.Lease.Foreign || s.Lease.Holder == "":
		return false
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

// leaves says whether the pod, as master, would make room for one that need not
// soon go. There is no use in that where it would be interrupted as by an eviction.
func (s situation) leaves(c *Candidate) bool {
	return c.Draining && s.best != nil && !s.best.Draining && !s.MovesLose && !s.Settings.AfterTermination
}

// epochOf is the epoch in which uid is, or becomes, the holder. An epoch that
// is recorded for it is kept; otherwise it is one that nobody has had.
func (s situation) epochOf(uid types.UID) int32 {
	if uid == s.Lease.HolderUID && s.Lease.Epoch >= s.Trace.Epoch {
		return s.Lease.Epoch
	}
	if uid == s.Trace.HolderUID && (s.Trace.Epoch > s.Lease.Epoch || s.Trace.Epoch == s.Lease.Epoch && s.Lease.HolderUID == "") {
		return s.Trace.Epoch
	}
	return max(s.Lease.Epoch, s.Trace.Epoch) + 1
}
