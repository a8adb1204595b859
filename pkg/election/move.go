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
// that the Services do not select, or that another election designates.
func (s situation) deletable() bool {
	return s.Settings.DeleteDemoted && !s.incumbent.Unselected && !s.incumbent.Elsewhere
}

// remaining returns how much is left of a wait that began when the holder went down.
func (s situation) remaining(wait time.Duration) time.Duration {
	if s.DownSince.IsZero() {
		return wait
	}
	return wait - s.Now.Sub(s.DownSince)
}

// preferredTo returns the eligible pods that are preferred and would not soon have to go. It
// returns none if the incumbent is preferred itself.
func (s situation) preferredTo(incumbent *Candidate) []Candidate {
	if incumbent.Preferred {
		return nil
	}
	newest := newestRevision(s.Candidates)
	return slices.DeleteFunc(slices.Clone(s.Candidates), func(c Candidate) bool {
		return !c.Preferred || c.Ineligible() != "" || c.doubted || c.Draining || c.Revision != newest && incumbent.Revision == newest
	})
}

// holdIncumbent keeps the incumbent, and restores its record in the Lease.
func (s situation) holdIncumbent(reason Reason) (Decision, bool) {
	d, _ := s.decide(Hold, reason, s.incumbent)
	d.Ineligible = s.incumbent.Ineligible()
	switch {
	case s.refused != nil:
		d.Action, d.Reason = Restore, EditRefused
	case s.Lease.Holder == "" || s.Lease.HolderUID == "" || s.Lease.Forged:
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
