package election

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// The rules, in order: the first one that has something to say decides.
var rules = []func(situation) (Decision, bool){
	refuseForeignLease,
	followEdit,
	adoptDesignated,
	leaveUnschedulableNode,
	holdEligible,
	holdWhenNobodyEligible,
	electFirst,
	failOver,
}

// Decide applies the rules.
func Decide(view View) Decision {
	s := newSituation(view)
	for _, rule := range rules {
		if d, decided := rule(s); decided {
			d.Refused = s.refused
			return d
		}
	}
	panic("unreachable: the last rule always decides")
}

// situation is a View with what several rules ask for.
type situation struct {
	View
	// incumbent is who is master by the record: by the Lease, or by the trace
	// where the Lease doesn't say. It is nil if that pod is gone, and also if
	// there never was a master; had tells these apart.
	incumbent *Candidate
	had       bool
	// requested is the pod that somebody wrote into the Lease, nil if nobody
	// did or it is refused.
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
	if !s.edited() {
		return s
	}
	s.requested = s.find(func(c Candidate) bool { return c.Name == view.Lease.Holder })
	switch {
	case s.requested == nil:
		s.refused = &Refusal{view.Lease.Holder, HolderGone}
	case s.requested.Ineligible() != "":
		s.refused = &Refusal{view.Lease.Holder, s.requested.Ineligible()}
		s.requested = nil
	case s.leaves(s.requested):
		s.refused = &Refusal{view.Lease.Holder, NodeUnschedulable}
		s.requested = nil
	}
	return s
}

// edited says whether the Lease's holder was written by somebody else. If the
// recorded pod is gone the name alone cannot tell: it may be the same pod's
// next incarnation, which the order of candidates then judges as any other.
func (s situation) edited() bool {
	switch {
	case !s.Lease.Exists || s.Lease.Holder == "":
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
// soon go.
func (s situation) leaves(c *Candidate) bool {
	return c.Draining && s.best != nil && !s.best.Draining && !s.MovesLose
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

func (s situation) decide(action Action, reason Reason, holder *Candidate) (Decision, bool) {
	d := Decision{Action: action, Reason: reason, Holder: holder.Name, HolderUID: holder.UID, Epoch: s.epochOf(holder.UID)}
	if d.Transition() && s.had {
		d.Previous = s.Lease.Holder
		if s.incumbent != nil {
			d.Previous = s.incumbent.Name
		}
	}
	return d, true
}

func refuseForeignLease(s situation) (Decision, bool) {
	return Decision{Action: Refuse, Reason: LeaseForeign}, s.Lease.Foreign
}

// followEdit: editing the holder is the command to switch over.
func followEdit(s situation) (Decision, bool) {
	if s.requested == nil {
		return Decision{}, false
	}
	return s.decide(Switchover, HolderEdited, s.requested)
}

// adoptDesignated: the predecessor's master stays master.
func adoptDesignated(s situation) (Decision, bool) {
	if s.had {
		return Decision{}, false
	}
	var designated []Candidate
	for _, c := range s.Candidates {
		if c.Designated {
			designated = append(designated, c)
		}
	}
	if adopted := best(designated); adopted != nil {
		return s.decide(Adopt, AlreadyDesignated, adopted)
	}
	return Decision{}, false
}

// leaveUnschedulableNode: what evicts the master next would interrupt it.
func leaveUnschedulableNode(s situation) (Decision, bool) {
	if s.incumbent == nil || s.incumbent.Ineligible() != "" || !s.leaves(s.incumbent) {
		return Decision{}, false
	}
	return s.decide(Switchover, NodeUnschedulable, s.best)
}

// holdEligible: the master stays while it is eligible.
func holdEligible(s situation) (Decision, bool) {
	if s.incumbent == nil || s.incumbent.Ineligible() != "" {
		return Decision{}, false
	}
	return s.holdIncumbent(HolderEligible)
}

// holdWhenNobodyEligible: a master that cannot serve is better than none that
// could come back; and a Lease without a holder shows that one is awaited.
func holdWhenNobodyEligible(s situation) (Decision, bool) {
	switch {
	case s.best != nil:
		return Decision{}, false
	case s.incumbent != nil:
		return s.holdIncumbent(NobodyEligible)
	case s.Lease.HolderUID != "":
		d := Decision{Action: Hold, Reason: NobodyEligible, Holder: s.Lease.Holder, HolderUID: s.Lease.HolderUID, Epoch: s.epochOf(s.Lease.HolderUID)}
		if d.Epoch != s.Lease.Epoch {
			d.Action, d.Reason = Restore, EpochRestored
		}
		return d, true
	default:
		// The epoch stays with its last holder, whose name nobody knows any more.
		return Decision{Action: Hold, Reason: AwaitingEligible, Epoch: max(s.Lease.Epoch, s.Trace.Epoch)}, true
	}
}

func electFirst(s situation) (Decision, bool) {
	if s.had {
		return Decision{}, false
	}
	return s.decide(Elect, FirstEligible, s.best)
}

func failOver(s situation) (Decision, bool) {
	why := HolderGone
	if s.incumbent != nil {
		why = s.incumbent.Ineligible()
	}
	return s.decide(Failover, why, s.best)
}

// holdIncumbent keeps the incumbent, and restores what the Lease says of it.
func (s situation) holdIncumbent(reason Reason) (Decision, bool) {
	d, _ := s.decide(Hold, reason, s.incumbent)
	switch {
	case s.refused != nil:
		d.Action, d.Reason = Restore, EditRefused
	case s.Lease.Holder == "" || s.Lease.HolderUID == "":
		d.Action, d.Reason = Restore, LeaseLost
	case d.Epoch != s.Lease.Epoch:
		d.Action, d.Reason = Restore, EpochRestored
	}
	return d, true
}
