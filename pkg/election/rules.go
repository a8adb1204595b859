package election

import (
	"slices"
	"time"
)

// The rules, in order: the first one that has something to say decides.
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

func refuseForeignLease(s situation) (Decision, bool) {
	return Decision{Action: Refuse, Reason: LeaseForeign}, s.Lease.Foreign
}

// followEdit: editing the holder is the command to switch over.
func followEdit(s situation) (Decision, bool) {
	if s.requested == nil {
		return Decision{}, false
	}
	return s.move(Switchover, HolderEdited, s.requested)
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
	return s.move(Switchover, NodeUnschedulable, s.best)
}

// failbackPause is the least time between a move and the failback that follows: replicas
// of which one sees a preferred pod fail that the other does not would otherwise move the
// master to and fro at the API server's speed.
const failbackPause = 10 * time.Second

// failBack: back to a preferred pod, which somebody has asked for. The time counts
// from the last move too, so that a switchover by hand lasts.
func failBack(s situation) (Decision, bool) {
	if s.Settings.Failback == nil || s.incumbent == nil || s.incumbent.Ineligible() != "" {
		return Decision{}, false
	}
	pause := max(*s.Settings.Failback, failbackPause) - s.Now.Sub(s.Lease.Acquired)
	again := time.Duration(0)
	preferred := slices.DeleteFunc(s.preferredTo(s.incumbent), func(c Candidate) bool {
		remaining := max(*s.Settings.Failback-s.Now.Sub(c.ReadySince), pause)
		if remaining > 0 && (again == 0 || remaining < again) {
			again = remaining
		}
		return remaining > 0
	})
	switch next := best(preferred); {
	case next != nil:
		return s.move(Switchover, PreferredEligible, next)
	case again > 0:
		d, _ := s.holdIncumbent(HolderEligible)
		d.Again = again
		return d, true
	}
	return Decision{}, false
}

// holdPaused: users may have reasons to let nothing move.
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
		return s.holdRecorded(NobodyEligible)
	default:
		return s.holdRecorded(AwaitingEligible)
	}
}

// waitForHolder: who has just stumbled may be back before another has taken over.
func waitForHolder(s situation) (Decision, bool) {
	if s.incumbent == nil || !s.incumbent.Ineligible().recovers() {
		return Decision{}, false
	}
	remaining := s.remaining(s.Settings.FailoverDelay)
	if remaining <= 0 {
		return Decision{}, false
	}
	d, _ := s.holdIncumbent(AwaitingHolder)
	d.Again = remaining
	return d, true
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
	return s.move(Failover, why, s.best)
}
