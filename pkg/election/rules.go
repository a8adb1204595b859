package election

import (
	"slices"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// rules are asked in order. The first that decides counts.
var rules = []func(situation) (Decision, bool){
	refuseForeignLease,
	followEdit,
	adoptDesignated,
	holdPaused,
	leaveUnschedulableNode,
	failBack,
	holdEligible,
	holdWhenNobodyEligible,
	waitForHolder,
	electFirst,
	failOver,
}

// Decide returns the decision of the first rule that applies to the view.
func Decide(view View) Decision {
	s := newSituation(view)
	for _, rule := range rules {
		if d, decided := rule(s); decided {
			if d.Epoch > api.MaxEpoch {
				d = s.exhausted()
			}
			d.Refused = s.refused
			if s.Lease.Yield > 0 && d.Action != Refuse {
				d.Yields = true
				if d.Again == 0 || d.Again > s.Lease.Yield {
					d.Again = s.Lease.Yield
				}
			}
			return d
		}
	}
	panic("unreachable: the last rule always decides")
}

// exhausted keeps what there is: after the highest epoch there is none that no other pod has had.
func (s situation) exhausted() (d Decision) {
	if s.incumbent != nil && (s.incumbent.UID == s.Lease.HolderUID || s.Trace.HolderEpoch == api.MaxEpoch) {
		d, _ = s.holdIncumbent(EpochsExhausted)
	} else {
		d, _ = s.holdRecorded(EpochsExhausted)
	}
	d.Reason, d.Epoch = EpochsExhausted, api.MaxEpoch
	return d
}

// refuseForeignLease leaves a Lease alone that is not the controller's.
func refuseForeignLease(s situation) (Decision, bool) {
	return Decision{Action: Refuse, Reason: LeaseForeign}, s.Lease.Foreign
}

// followEdit follows an edit of the Lease's holder, which is the command to switch over.
func followEdit(s situation) (Decision, bool) {
	if s.requested == nil {
		return Decision{}, false
	}
	return s.move(Switchover, HolderEdited, s.requested)
}

// adoptDesignated keeps the predecessor's master.
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

// leaveUnschedulableNode moves the master before an eviction would interrupt it.
func leaveUnschedulableNode(s situation) (Decision, bool) {
	if s.incumbent == nil || s.incumbent.Ineligible() != "" || !s.leaves(s.incumbent) {
		return Decision{}, false
	}
	return s.move(Switchover, NodeUnschedulable, s.best)
}

// failbackPause is the least time between a move and the failback that follows. Without it,
// two replicas that disagree on whether a preferred pod is eligible would move the master to
// and fro as fast as the API server allows.
const failbackPause = 10 * time.Second

// age returns for how long something has lasted. A time in the future has not lasted at all,
// however far away it is.
func (s situation) age(since time.Time) time.Duration { return max(0, s.Now.Sub(since)) }

// failBack moves the master back to a preferred pod, or to one of a higher priority, if the Service
// asks for that.
func failBack(s situation) (Decision, bool) {
	if s.Settings.Failback == nil || s.incumbent == nil || s.incumbent.Ineligible() != "" {
		return Decision{}, false
	}
	again := time.Duration(0)
	preferred := slices.DeleteFunc(s.preferredTo(s.incumbent), func(c Candidate) bool {
		remaining := s.untilBack(c)
		if remaining > 0 && (again == 0 || remaining < again) {
			again = remaining
		}
		return remaining > 0
	})
	switch next := best(preferred); {
	case next != nil && next.Priority > s.incumbent.Priority:
		return s.move(Switchover, HigherPriority, next)
	case next != nil:
		return s.move(Switchover, PreferredEligible, next)
	case again > 0:
		d, _ := s.holdIncumbent(HolderEligible)
		d.Again = again
		return d, true
	}
	return Decision{}, false
}

// holdPaused keeps the holder while a user has paused the election.
func holdPaused(s situation) (Decision, bool) {
	switch {
	case !s.Settings.Paused:
		return Decision{}, false
	case s.incumbent != nil:
		return s.holdIncumbent(ElectionPaused)
	default:
		return s.holdRecorded(ElectionPaused)
	}
}

// holdEligible keeps the master while it is eligible.
func holdEligible(s situation) (Decision, bool) {
	if s.incumbent == nil || s.incumbent.Ineligible() != "" {
		return Decision{}, false
	}
	return s.holdIncumbent(HolderEligible)
}

// holdWhenNobodyEligible keeps a master that cannot serve, because it may recover. If there
// has been no master, the Lease without a holder shows that one is awaited.
func holdWhenNobodyEligible(s situation) (Decision, bool) {
	switch {
	case s.best != nil:
		return Decision{}, false
	case s.incumbent != nil:
		return s.holdIncumbent(NobodyEligible)
	case s.Lease.HolderUID != "":
		return s.holdRecorded(NobodyEligible)
	default:
		return s.holdRecorded(AwaitingEligible)
	}
}

// deletionPause is how long a master that may recover is waited for at least, if it would have to
// be deleted. A deletion cannot be taken back.
const deletionPause = time.Second

// waitForHolder keeps a master that may recover before another pod has taken over.
func waitForHolder(s situation) (Decision, bool) {
	if s.incumbent == nil || !s.incumbent.Ineligible().recovers() {
		return Decision{}, false
	}
	wait := s.Settings.FailoverDelay
	if s.Settings.AfterTermination && s.deletable() {
		wait = max(wait, deletionPause)
	}
	remaining := s.remaining(wait)
	if remaining <= 0 {
		return Decision{}, false
	}
	d, _ := s.holdIncumbent(AwaitingHolder)
	d.Again = remaining
	return d, true
}

// electFirst makes the best pod the first master.
func electFirst(s situation) (Decision, bool) {
	if s.had {
		return Decision{}, false
	}
	return s.decide(Elect, FirstEligible, s.best)
}

// failOver replaces the holder, which is not eligible.
func failOver(s situation) (Decision, bool) {
	why := HolderGone
	if s.incumbent != nil {
		why = s.incumbent.Ineligible()
	}
	return s.move(Failover, why, s.best)
}
