// Package election decides who is master. It is pure: what was observed goes
// in, a decision comes out; there is no client, clock or logger. It knows
// nothing of how traffic follows the holder. Beside the standard library it
// imports only the type of a UID.
package election

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// View is everything that a decision depends on.
type View struct {
	Lease Lease
	Trace Trace
	// Candidates are the pods that the election's Services select, in any
	// order. Others may be among them, which are Unselected.
	Candidates []Candidate
	Policy     Policy
	Now        time.Time
	// DownSince is since when the holder has been seen not to be eligible, while
	// nobody renewed the Lease; zero if that is seen only now.
	DownSince time.Time
}

// Policy is what users ask of the election.
type Policy struct {
	// MovesLose: a planned move loses requests too, so that none is made unasked.
	MovesLose bool
	// Paused: whoever is master stays it.
	Paused bool
	// Failback is how long a preferred pod must have been Ready, and the master been
	// master, for the master to move back; nil for never.
	Failback *time.Duration
	// FailoverDelay is how long a holder is waited for that may become eligible again.
	FailoverDelay time.Duration
	// AfterTermination: nobody becomes master before the former one has stopped.
	AfterTermination bool
	// DeleteDemoted: the controller may delete the pod that makes room, and the one
	// that has.
	DeleteDemoted bool
}

// Lease is what the election's Lease says; the zero value says that there is
// none.
type Lease struct {
	Exists bool
	// Foreign: it is somebody else's, and must not be touched.
	Foreign bool
	// Holder is the name of the holder's pod. Users edit it to switch over.
	Holder string
	// HolderUID is the UID of the pod that was elected last.
	HolderUID types.UID
	// Epoch is the number of changes of holder so far: the fencing token.
	Epoch int32
	// Next is the name of the pod that somebody asked for, and that is to follow once
	// the holder has made room.
	Next string
	// Acquired is since when the holder has been master.
	Acquired time.Time
	// Duration is for how long the holder may believe in the Lease after it was
	// renewed; 0 if it is not renewed.
	Duration time.Duration
}

// Trace is what routing wrote down on Services and pods. It outlives a Lease
// that somebody deletes.
type Trace struct {
	// Epoch is the highest that anything is stamped with.
	Epoch int32
	// HolderUID is who traffic was routed to in that epoch; empty if that
	// cannot be told.
	HolderUID types.UID
}

// Candidate is a pod that could become, or is, the master.
type Candidate struct {
	Name string
	UID  types.UID

	// Unselected: not, or no longer, a candidate; here because it is the holder,
	// or was one.
	Unselected bool
	// Elsewhere: another election, with a Lease of its own, says whether it is active.
	Elsewhere bool
	// Excluded: its annotation says that it is not to be master.
	Excluded    bool
	Finished    bool
	Terminating bool
	Ready       bool

	// ReadySince counts while Ready.
	ReadySince time.Time
	Created    time.Time
	// Draining: its node is unschedulable.
	Draining bool
	// NodeSilent: its node's kubelet gives no sign of life.
	NodeSilent bool
	// Answers: it has just answered the controller's own probe; and Unresponsive, that
	// it no longer does, after it had. At most one of them is true, and neither is
	// where it is not probed or has never answered.
	Answers, Unresponsive bool
	// doubted: it is Unresponsive, but nobody answers who could show that it is not
	// the controller that reaches nobody.
	doubted bool
	// Preferred: the Service's preference matches it.
	Preferred bool
	// Revision is the hash that its Deployment or StatefulSet gave it.
	Revision string
	// Index is its ordinal in its StatefulSet; 0 of other pods.
	Index int
	// Identified: it carries its identity label already, so that one write
	// less is needed to route to it.
	Identified bool
	// Designated: it is labelled active, but not by this controller.
	Designated bool
}

// Action is the kind of a decision.
type Action string

const (
	// Hold leaves the holder as it is.
	Hold Action = "Hold"
	// Refuse leaves everything as it is: the election cannot be served.
	Refuse Action = "Refuse"
	// Restore writes the holder that it already is into the Lease again.
	Restore Action = "Restore"
	// Adopt takes the master over that was there before the controller.
	Adopt Action = "Adopt"
	// Elect makes a first master.
	Elect Action = "Elect"
	// Failover replaces a holder that is no longer eligible.
	Failover Action = "Failover"
	// Switchover replaces a holder that is, because somebody asked for it or it
	// would soon have to go.
	Switchover Action = "Switchover"
	// Stop holds the holder and has its pod deleted, for another to follow it.
	Stop Action = "Stop"
)

// Reason says why a decision was taken, or why a pod is not eligible. It is
// the word used in the Lease, events, metrics and logs.
type Reason string

// Reasons to refuse and to hold.
const (
	// LeaseForeign: a Lease of that name exists that is not the controller's.
	LeaseForeign Reason = "LeaseForeign"
	// HolderEligible: all is well.
	HolderEligible Reason = "HolderEligible"
	// NobodyEligible: the holder cannot serve, nor can anybody else.
	NobodyEligible Reason = "NobodyEligible"
	// AwaitingEligible: nobody holds the Lease, and nobody can.
	AwaitingEligible Reason = "AwaitingEligible"
	// ElectionPaused: a user lets nothing move.
	ElectionPaused Reason = "ElectionPaused"
	// AwaitingHolder: the holder is not eligible, but waited for.
	AwaitingHolder Reason = "AwaitingHolder"
	// AwaitingExpiry: the holder may not know that it is replaced, and believe in its
	// Lease until that expires.
	AwaitingExpiry Reason = "AwaitingExpiry"
	// AwaitingTermination: the holder has to stop before another becomes master.
	AwaitingTermination Reason = "AwaitingTermination"
)

// Reasons to restore.
const (
	// LeaseLost: the Lease, its holder or the holder's UID had been removed.
	LeaseLost Reason = "LeaseLost"
	// EpochRestored: the Lease's epoch was lower than one that had been used, or
	// higher than any can be.
	EpochRestored Reason = "EpochRestored"
	// EditRefused: somebody wrote a holder into the Lease that is not eligible.
	EditRefused Reason = "EditRefused"
)

// Reasons to adopt, to elect and to switch over.
const (
	// AlreadyDesignated: the pod was labelled active before there was a Lease.
	AlreadyDesignated Reason = "AlreadyDesignated"
	// FirstEligible: there has not been a master before.
	FirstEligible Reason = "FirstEligible"
	// HolderEdited: somebody wrote another holder into the Lease.
	HolderEdited Reason = "HolderEdited"
	// NodeUnschedulable: the holder's node is cordoned, and an eligible pod is on
	// one that is not. It would soon have to go.
	NodeUnschedulable Reason = "NodeUnschedulable"
	// PreferredEligible: a preferred pod has been eligible for long enough to fail back.
	PreferredEligible Reason = "PreferredEligible"
)

// Reasons to fail over, and why a pod is not eligible.
const (
	// HolderGone: there is no such pod.
	HolderGone Reason = "HolderGone"
	// HolderUnselected: its labels no longer match the Service's selector.
	HolderUnselected Reason = "HolderUnselected"
	// HolderExcluded: its annotation says that it is not to be master.
	HolderExcluded Reason = "HolderExcluded"
	// HolderFinished: its phase is Succeeded or Failed.
	HolderFinished Reason = "HolderFinished"
	// HolderTerminating: it has a deletionTimestamp.
	HolderTerminating Reason = "HolderTerminating"
	// HolderNotReady: its condition Ready is not True.
	HolderNotReady Reason = "HolderNotReady"
	// NodeSilent: its node has sent no heartbeat for long, while others have.
	NodeSilent Reason = "NodeSilent"
	// HolderUnresponsive: it has stopped answering the controller's probe, which
	// another pod answers.
	HolderUnresponsive Reason = "HolderUnresponsive"
)

// Decision is what is to be done.
type Decision struct {
	Action Action
	Reason Reason
	// Holder and HolderUID name the holder from now on; empty while there has
	// not been one.
	Holder    string
	HolderUID types.UID
	Epoch     int32
	// Previous is the name of the holder that is replaced, if that is known.
	Previous string
	// Ineligible is why the holder, which is kept, is not eligible; empty if it is.
	Ineligible Reason
	// Next is the name of the pod that was asked for and has to wait.
	Next string
	// Demoted is the UID of the former holder, if its pod is to be deleted.
	Demoted types.UID
	// Again is after how long to decide again although nothing has changed; 0 for never.
	Again time.Duration
	// Refused is set if somebody edited the holder and cannot have it. It
	// stands beside whatever else was decided.
	Refused *Refusal
}

// Refusal is an edit of the Lease's holder that is not followed.
type Refusal struct {
	// Holder is who was asked for.
	Holder string
	// Why is why that pod is not eligible, or why it would not stay master.
	Why Reason
}

// Writes says whether the Lease has to be written for the decision.
func (d Decision) Writes(lease Lease) bool {
	return d.Action != Refuse && (!lease.Exists || lease.Holder != d.Holder || lease.HolderUID != d.HolderUID || lease.Epoch != d.Epoch || lease.Next != d.Next)
}

// Transition says whether the decision changes the holder.
func (d Decision) Transition() bool {
	return d.Action == Elect || d.Action == Failover || d.Action == Switchover
}

// Served says whether there is a master that is eligible.
func (d Decision) Served() bool { return d.HolderUID != "" && d.Ineligible == "" }

// Problem says whether users should hear that nothing is done.
func (d Decision) Problem() bool {
	switch d.Reason {
	case LeaseForeign, NobodyEligible, AwaitingHolder, AwaitingExpiry:
		return true
	case AwaitingTermination:
		// A pod that terminates does what it should.
		return d.Ineligible != HolderTerminating
	case ElectionPaused:
		return d.Ineligible != ""
	}
	return false
}

// Ineligible says why the pod cannot hold the Lease now; empty if it can. That it is
// Unresponsive counts only if believable says so.
func (c Candidate) Ineligible() Reason {
	switch {
	case c.Unselected:
		return HolderUnselected
	case c.Finished:
		return HolderFinished
	case c.Terminating:
		return HolderTerminating
	case c.Excluded:
		return HolderExcluded
	case !c.Ready:
		return HolderNotReady
	case c.NodeSilent:
		return NodeSilent
	case c.Unresponsive:
		return HolderUnresponsive
	}
	return ""
}

// Fails says whether the reason is why a pod is not eligible.
func (r Reason) Fails() bool {
	_, is := ineligible[r]
	return is && r != NodeUnschedulable
}

// recovers says whether a pod that is not eligible may become so again by itself.
func (r Reason) recovers() bool {
	return r == HolderNotReady || r == NodeSilent || r == HolderUnresponsive
}

// reachable says whether the pod can be expected to hear of a new holder.
func (c Candidate) reachable() bool { return c.Ready && !c.NodeSilent && !c.Unresponsive }
