// Package election decides who is master. It is pure: what was observed goes
// in, a decision comes out; there is no client, clock or logger. It knows
// nothing of how traffic follows the holder. It imports package api alone.
package election

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// View is everything that a decision depends on.
type View struct {
	Lease Lease
	Trace Trace
	// Candidates are the pods that the election's Services select, in any
	// order. Others may be among them, which are Unselected.
	Candidates []Candidate
	// Settings are those that count for the election as a whole.
	Settings api.Election
	// MovesLose: a planned move loses requests, so the controller makes none unasked.
	MovesLose bool
	// Migrating: a Service of the election is changing from one routing to another.
	Migrating bool
	Now       time.Time
	// DownSince is since when the holder has been seen not to be eligible, while
	// nobody renewed the Lease; zero if that is seen only now.
	DownSince time.Time
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
	// Outdated: its owners or its duration are not what the Services ask for.
	Outdated bool
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
		return !d.Served()
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

// reachable says whether the pod can be expected to hear of a new holder.
func (c Candidate) reachable() bool { return c.Ready && !c.NodeSilent && !c.Unresponsive }
