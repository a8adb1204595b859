package election

import (
	"slices"
	"time"
)

// decide returns the decision that makes, or keeps, the pod the holder.
func (s situation) decide(action Action, reason Reason, holder *Candidate) (Decision, bool) {
	d := Decision{Action: action, Reason: reason, Holder: holder.Name, HolderUID: holder.UID, Epoch: s.epochOf(holder.UID)}
	if d.Transition() && s.had {
		switch {
		case s.incumbent != nil:
			d.Previous = s.incumbent.Name
		case !s.edited():
			d.Previous = s.Lease.Holder
		}
		if s.working() && !s.incumbent.Terminating && s.deletable() {
			d.Demoted = s.incumbent.UID
		}
	}
	return d, true
}

// move makes next the master, or holds the incumbent for as long as it may still be at work
// without knowing of next.
func (s situation) move(action Action, reason Reason, next *Candidate) (Decision, bool) {
	if !s.working() {
		return s.decide(action, reason, next)
	}
	asked := ""
	if s.requested != nil {
		asked = s.requested.Name
	}
	if s.Settings.AfterTermination {
		d, _ := s.holdIncumbent(AwaitingTermination)
		d.Next = asked
		switch {
		case !s.incumbent.Terminating && s.deletable():
			d.Action, d.Reason = Stop, reason
		case s.incumbent.Terminating && s.incumbent.NodeSilent:
			// A silent node will not report that the pod has stopped.
			d.Ineligible = NodeSilent
		}
		return d, true
	}
	if !s.incumbent.reachable() && s.Lease.Duration > 0 {
		if remaining := s.remaining(s.Lease.Duration); remaining > 0 {
			d, _ := s.holdIncumbent(AwaitingExpiry)
			d.Next, d.Again = asked, remaining
			return d, true
		}
	}
	return s.decide(action, reason, next)
}

// working reports whether there is an incumbent whose processes may be running.
func (s situation) working() bool { return s.incumbent != nil && !s.incumbent.Finished }

// deletable reports whether the controller may delete the incumbent. It never deletes a pod
// that the Services do not select, that another election designates, or that nothing would
// create anew.
func (s situation) deletable() bool {
	return s.Settings.DeleteDemoted && !s.incumbent.Unselected && !s.incumbent.Elsewhere && s.incumbent.Workload != ""
}

// remaining returns how much is left of a wait that began when the holder went down.
func (s situation) remaining(wait time.Duration) time.Duration {
	if s.DownSince.IsZero() {
		return wait
	}
	return wait - s.Now.Sub(s.DownSince)
}

// preferredTo returns the pods that are preferred, or have a higher priority, and to which the
// incumbent may move back.
func (s situation) preferredTo(incumbent *Candidate) []Candidate {
	return slices.DeleteFunc(slices.Clone(s.Candidates), func(c Candidate) bool { return !c.claims(incumbent) || bars(c, incumbent) != "" })
}

// claims reports whether the pod would rather be master than the incumbent.
func (c Candidate) claims(incumbent *Candidate) bool {
	return c.Preferred || c.Priority > incumbent.Priority
}

// bars returns why the master does not move from the incumbent back to a pod that claims that, as
// a clause about that pod; empty if it may.
func bars(c Candidate, incumbent *Candidate) string {
	switch why := c.Ineligible(); {
	case why != "":
		return why.Of("it")
	case c.Priority < incumbent.Priority:
		return "the master has a higher priority"
	case incumbent.Preferred && c.Priority == incumbent.Priority:
		return "the master is preferred too"
	case c.doubted:
		return "it has stopped answering the controller's probe"
	case c.Draining:
		return NodeUnschedulable.Of("it")
	case c.old && !incumbent.old:
		// It would be replaced later in the same rollout.
		return "it is of an older revision of its workload, and the master is of the newest"
	}
	return ""
}

// untilBack returns how long the master must still wait before it moves back to a pod that claims
// that. The time also counts from the last move, so that a switchover by hand lasts; and from when
// the pod's priority became higher, so that two pods that overtake each other do not take turns.
func (s situation) untilBack(c Candidate) time.Duration {
	after := *s.Settings.Failback
	wait := max(after-s.age(c.SeenReady), max(after, failbackPause)-s.age(s.Lease.Acquired))
	if c.Priority > s.incumbent.Priority {
		higher := time.Duration(0)
		if !c.HigherSince.IsZero() {
			higher = s.age(c.HigherSince)
		}
		wait = max(wait, max(after, failbackPause)-higher)
	}
	return wait
}

// holdIncumbent keeps the incumbent, and restores its record in the Lease.
func (s situation) holdIncumbent(reason Reason) (Decision, bool) {
	d, _ := s.decide(Hold, reason, s.incumbent)
	d.Ineligible = s.incumbent.Ineligible()
	switch {
	case s.refused != nil:
		d.Action, d.Reason = Restore, EditRefused
	case s.Lease.Holder == "" && s.Lease.Contender == "" || s.Lease.HolderUID == "" || s.Lease.Forged:
		d.Action, d.Reason = Restore, LeaseLost
	case d.Epoch != s.Lease.Epoch:
		d.Action, d.Reason = Restore, EpochRestored
	}
	return d, true
}

// holdRecorded keeps what the Lease says if the holder's pod no longer exists, or if there
// has not been a holder.
func (s situation) holdRecorded(reason Reason) (Decision, bool) {
	if s.Lease.HolderUID == "" {
		// The epoch stays with its last holder, whose name is no longer known.
		d := Decision{Action: Hold, Reason: reason, Epoch: max(s.Lease.Epoch, s.Trace.Epoch)}
		if !s.Lease.Exists && s.Trace.Stamped {
			d.Epoch = s.epochOf("")
		}
		return d, true
	}
	d := Decision{
		Action: Hold, Reason: reason, Holder: s.Lease.Holder, HolderUID: s.Lease.HolderUID, Epoch: s.epochOf(s.Lease.HolderUID),
		Ineligible: HolderGone,
	}
	if d.Epoch != s.Lease.Epoch {
		d.Action, d.Reason = Restore, EpochRestored
	}
	return d, true
}
