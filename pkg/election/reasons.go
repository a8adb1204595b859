package election

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

// Fails says whether the reason is why a pod is not eligible.
func (r Reason) Fails() bool {
	_, is := ineligible[r]
	return is && r != NodeUnschedulable
}

// recovers says whether a pod that is not eligible may become so again by itself.
func (r Reason) recovers() bool {
	return r == HolderNotReady || r == NodeSilent || r == HolderUnresponsive
}
