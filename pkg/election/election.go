// Package election decides which pod is master. It is pure: an observation goes in, a
// decision comes out, and there is no client, clock or logger. It does not know how traffic
// follows the holder. It imports only package api.
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
	// Candidates are the pods that the election's Services select, in any order, and pods
	// that are Unselected.
	Candidates []Candidate
	// Settings are those that apply to the election as a whole.
	Settings api.Election
	// MovesLose: a planned move loses requests, so the controller leaves a cordoned node only
	// when the master fails.
	MovesLose bool
	// Migrating: a Service of the election is changing from one routing to another.
	Migrating bool
	// Divided: a Service takes no part in the election, because it selects no pod that the others
	// select.
	Divided bool
	// Doubtful: a stamp was found that does not count, because it is too far ahead of the Lease.
	Doubtful bool
	Now      time.Time
	// DownSince is since when the holder has not been eligible and no replica has renewed
	// the Lease; zero if this View is the first to show that.
	DownSince time.Time
}

// Lease is what the election's Lease says. The zero value means that there is no Lease.
type Lease struct {
	Exists bool
	// Foreign: the Lease is not the controller's, and must not be changed.
	Foreign bool
	// Holder is the name of the holder's pod. Users edit it to switch over.
	Holder string
	// HolderUID is the UID of the pod that was elected last.
	HolderUID types.UID
	// Epoch is the number of changes of holder so far: the fencing token.
	Epoch int32
	// Vacant: the Lease names no holder and has no record of one, and its epoch is later than all that
	// is known of a holder. A replica that saw the last one go has written that.
	Vacant bool
	// Next is the name of the pod that a user asked for and that must wait until the holder
	// has made room.
	Next string
	// Acquired is since when the holder has been master, by what this replica has seen. Where it
	// has not seen the beginning, it goes by the Lease.
	Acquired time.Time
	// Duration is for how long the holder may rely on the Lease after a renewal; 0 if the
	// Lease is not renewed.
	Duration time.Duration
	// Outdated: the Lease's owners or its duration are not what the Services ask for.
	Outdated bool
	// Contender is the field manager of another program that holds the Lease as its own; empty if
	// there is none. Holder, Epoch and Acquired are then what the controller has recorded beside
	// that, unless a user has written another Holder since.
	Contender string
	// Yield is for how long the controller leaves the Lease to the Contender, which has renewed it
	// lately; 0 if it takes the Lease back.
	Yield time.Duration
	// Forged: the Lease names another pod's UID than HolderUID, which is the one that the
	// controller has written. Spent: it does so in an epoch that the controller has not written.
	// No pod can have that epoch.
	Forged, Spent bool
}

// Trace is what routing has written on Services, EndpointSlices and pods. It survives the
// deletion of the Lease.
type Trace struct {
	// Stamped: something is stamped, if only with epoch 0.
	Stamped bool
	// Epoch is the highest epoch with which anything is stamped.
	Epoch int32
	// HolderUID is the last pod that is known to have been the holder, and HolderEpoch the epoch
	// in which it was; empty and 0 if none is known.
	HolderUID   types.UID
	HolderEpoch int32
}

// Candidate is a pod that could become, or is, the master.
type Candidate struct {
	Name string
	UID  types.UID

	// Unselected: the Services do not select the pod. It is in the View because it is or was
	// the holder, or carries marks of the controller.
	Unselected bool
	// Elsewhere: another election, with its own Lease, decides whether the pod is active.
	Elsewhere bool
	// Excluded: the pod's annotation keeps it from being master.
	Excluded bool
	// Portless: the pod has none of the ports of a Service, and another pod has one.
	Portless bool
	// Addressless: the pod has no address, so that no Service lists it.
	Addressless bool
	Finished    bool
	Terminating bool
	Ready       bool

	// ReadySince is meaningful only while the pod is Ready. It is by the clock of the pod's node,
	// and the same for all replicas.
	ReadySince time.Time
	// SeenReady is since when the pod has been Ready by what this replica has seen. Where it has
	// not seen the beginning, it goes by ReadySince.
	SeenReady time.Time
	Created   time.Time
	// NodeGone: the pod's node does not exist.
	NodeGone bool
	// Draining: the pod's node is cordoned, or has a taint that counts as a cordon.
	Draining bool
	// NodeSilent: the pod's node no longer gives signs of life.
	NodeSilent bool
	// Answers: the pod answered the last of the controller's own probes. Unresponsive: the
	// pod answered before, but no longer does. Both are false if the pod is not probed or has
	// never answered.
	Answers, Unresponsive bool
	// Refused: the API server refuses the label by which traffic would go to the pod.
	Refused bool
	// Inactive: a Service routes by label, and another election, which decides whether the pod is
	// active, has decided that it is not.
	Inactive bool
	// doubted: the pod was Unresponsive, but no eligible pod answers either, so it may be the
	// controller that reaches no pod.
	doubted bool
	// Priority is what the pod's fresh answer to a probe claims, or else what its annotation says; 0 if
	// there is neither. HigherSince is since when this replica has seen that it is higher than the
	// master's, without a break; zero if it has not.
	Priority    int64
	HigherSince time.Time
	// Preferred: the Service's preference matches the pod.
	Preferred bool
	// Workload is what creates the pod anew, such as a Deployment; empty if nothing does.
	// Revision is the one of the workload that the pod is of. Revisions of different workloads
	// cannot be compared.
	Workload, Revision string
	// old: the workload has a newer pod of another revision, so that a rollout would replace
	// this one.
	old bool
	// Index is the pod's ordinal in its StatefulSet; 0 for other pods.
	Index int
	// Identified: the pod already carries its identity label, so routing to it needs one
	// write less.
	Identified bool
	// Designated: the pod is labelled active, but not by this controller.
	Designated bool
}

// Action is the kind of a decision.
type Action string

const (
	// Hold leaves the holder as it is.
	Hold Action = "Hold"
	// Refuse leaves everything as it is: the election cannot be served.
	Refuse Action = "Refuse"
	// Restore writes the present holder into the Lease again.
	Restore Action = "Restore"
	// Adopt takes over the master of the predecessor.
	Adopt Action = "Adopt"
	// Elect makes a first master.
	Elect Action = "Elect"
	// Failover replaces a holder that is no longer eligible.
	Failover Action = "Failover"
	// Switchover replaces a holder that is eligible, because a user asked for that or the
	// holder would soon have to go.
	Switchover Action = "Switchover"
	// Stop holds the holder and deletes its pod, so that another pod can follow.
	Stop Action = "Stop"
)

// Decision is what must be done.
type Decision struct {
	Action Action
	Reason Reason
	// Holder and HolderUID name the holder from now on; empty if there has not been one.
	Holder    string
	HolderUID types.UID
	Epoch     int32
	// Previous is the name of the holder that is replaced; empty if it is not known.
	Previous string
	// Ineligible is why the holder, which is kept, is not eligible; empty if it is.
	Ineligible Reason
	// Next is the name of the pod that a user asked for and that must wait.
	Next string
	// Demoted is the UID of the former holder if its pod must be deleted.
	Demoted types.UID
	// Again is after how long to decide again even if nothing has changed; 0 for never.
	Again time.Duration
	// Yields: a contender renews the Lease, so that the Lease is written only if something else
	// than the contender's writes calls for that.
	Yields bool
	// Refused is set if a user asked for a pod that cannot become master. The rest of the
	// Decision applies all the same.
	Refused *Refusal
}

// Refusal is a user's edit of the Lease's holder that is not followed.
type Refusal struct {
	// Holder is the name that the user wrote.
	Holder string
	// Why is why that pod is not eligible, or why it would not stay master.
	Why Reason
}

// Writes reports whether the Lease must be written for the decision.
func (d Decision) Writes(lease Lease) bool {
	unknown := d.Yields && lease.Holder == ""
	return d.Action != Refuse && (!lease.Exists || lease.Forged || lease.Contender != "" && !d.Yields || !unknown && lease.Holder != d.Holder || lease.HolderUID != d.HolderUID || lease.Epoch != d.Epoch || lease.Next != d.Next)
}

// Transition reports whether the decision changes the holder.
func (d Decision) Transition() bool {
	return d.Action == Elect || d.Action == Failover || d.Action == Switchover
}

// Served reports whether there is a master that is eligible.
func (d Decision) Served() bool { return d.HolderUID != "" && d.Ineligible == "" }

// Problem reports whether users must hear that nothing is done.
func (d Decision) Problem() bool {
	switch d.Reason {
	case LeaseForeign, NobodyEligible, AwaitingHolder, AwaitingExpiry, EpochsExhausted:
		return true
	case AwaitingTermination:
		// A pod that terminates will stop by itself.
		return d.Ineligible != HolderTerminating
	case ElectionPaused:
		return !d.Served()
	}
	return false
}

// Ineligible returns why the pod cannot hold the Lease now; empty if it can. believable
// clears Unresponsive where it proves nothing, and Refused where no other pod can be labelled.
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
	case c.Portless:
		return PortMissing
	case c.NodeGone:
		return NodeGone
	case !c.Ready:
		return HolderNotReady
	case c.Addressless:
		return AddressMissing
	case c.NodeSilent:
		return NodeSilent
	case c.Unresponsive:
		return HolderUnresponsive
	case c.Refused:
		return HolderRefused
	case c.Inactive:
		return HolderInactive
	}
	return ""
}

// lacksOnlyNode reports whether the pod would be eligible if its node existed.
func (c Candidate) lacksOnlyNode() bool {
	gone := c.NodeGone
	c.NodeGone = false
	return gone && c.Ineligible() == ""
}

// reachable reports whether the pod can be expected to hear of a new holder.
func (c Candidate) reachable() bool {
	return c.Ready && !c.NodeGone && !c.NodeSilent && !c.Unresponsive
}
