package election

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Reason says why a decision was made, or why a pod is not eligible. It is the word
// used in the Lease, events, metrics and logs. The table below says what each means.
type Reason string

// Reasons to refuse and to hold.
const (
	LeaseForeign        Reason = "LeaseForeign"
	HolderEligible      Reason = "HolderEligible"
	NobodyEligible      Reason = "NobodyEligible"
	AwaitingEligible    Reason = "AwaitingEligible"
	ElectionPaused      Reason = "ElectionPaused"
	AwaitingHolder      Reason = "AwaitingHolder"
	AwaitingExpiry      Reason = "AwaitingExpiry"
	AwaitingTermination Reason = "AwaitingTermination"
	EpochsExhausted     Reason = "EpochsExhausted"
)

// Reasons to restore.
const (
	LeaseLost     Reason = "LeaseLost"
	EpochRestored Reason = "EpochRestored"
	EditRefused   Reason = "EditRefused"
)

// Reasons to adopt, to elect and to switch over.
const (
	AlreadyDesignated Reason = "AlreadyDesignated"
	FirstEligible     Reason = "FirstEligible"
	HolderEdited      Reason = "HolderEdited"
	NodeUnschedulable Reason = "NodeUnschedulable"
	PreferredEligible Reason = "PreferredEligible"
	HigherPriority    Reason = "HigherPriority"
)

// Reasons to fail over, and why a pod is not eligible.
const (
	HolderGone         Reason = "HolderGone"
	HolderUnselected   Reason = "HolderUnselected"
	HolderExcluded     Reason = "HolderExcluded"
	HolderFinished     Reason = "HolderFinished"
	HolderTerminating  Reason = "HolderTerminating"
	PortMissing        Reason = "PortMissing"
	NodeGone           Reason = "NodeGone"
	HolderNotReady     Reason = "HolderNotReady"
	AddressMissing     Reason = "AddressMissing"
	NodeSilent         Reason = "NodeSilent"
	HolderUnresponsive Reason = "HolderUnresponsive"
	HolderRefused      Reason = "HolderRefused"
	HolderInactive     Reason = "HolderInactive"
)

// Fails reports whether the reason is one for which a pod is not eligible.
func (r Reason) Fails() bool {
	_, is := ineligible[r]
	return is && r != NodeUnschedulable
}

// Moves reports whether the reason is one for which the holder changes.
func (r Reason) Moves() bool {
	_, is := ineligible[r]
	return is || r == FirstEligible || r == HolderEdited || r == PreferredEligible || r == HigherPriority
}

// recovers reports whether a pod that is not eligible may become so again by itself.
func (r Reason) recovers() bool {
	return r == HolderNotReady || r == NodeSilent || r == HolderUnresponsive
}

// Events returns the table of the reasons, in the order of the reference.
func Events() []api.Event { return slices.Clone(events) }

var events = []api.Event{
	{
		Reason: string(FirstEligible), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "The first master was elected.",
	},
	{
		Reason: string(AlreadyDesignated), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: `A pod was labelled "active" before there was a Lease. It stays master.`,
	},
	{
		Reason: string(HolderNotReady), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master is not Ready.",
		Advice:  "Look at the former master.",
	},
	{
		Reason: string(HolderTerminating), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master is terminating.",
	},
	{
		Reason: string(HolderGone), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master's pod no longer exists.",
	},
	{
		Reason: string(HolderFinished), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master's pod has ended (Succeeded or Failed).",
		Advice:  "Look at the former master.",
	},
	{
		Reason: string(PortMissing), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master has none of the Service's ports, and another pod has one.",
	},
	{
		Reason: string(AddressMissing), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master is Ready, but has no address.",
		Advice:  "Look at what writes the status of the former master: a kubelet never reports that.",
	},
	{
		Reason: string(NodeGone), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master's node no longer exists. Kubernetes will delete the pod.",
	},
	{
		Reason: string(NodeSilent), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master's node has given no sign of life for long, neither an answer at its kubelet's port nor a heartbeat, while other nodes have.",
		Advice:  "Look at the node.",
	},
	{
		Reason: string(HolderUnresponsive), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the master no longer answers the controller's probe, and another pod does.",
		Advice:  "Look at the former master.",
		See:     "probes.md",
	},
	{
		Reason: string(HolderRefused), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the API server refuses the label by which traffic would go to the master, and another pod can be labelled.",
		Advice:  "Look at admission policies and webhooks that refuse changes of pods' labels.",
		See:     "operations.md",
	},
	{
		Reason: string(HolderInactive), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the Service routes by label, and another election, of an older Service, has made the master a standby.",
		Advice:  fmt.Sprintf("If both Services should have one master, set %q.", api.AnnotationLeaseName),
		See:     "elections.md#overlapping-elections",
	},
	{
		Reason: string(HolderUnselected), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Failover: the Service no longer selects the master.",
	},
	{
		Reason: string(HolderExcluded), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: `Failover: the master carries "qoqo.dev/candidate: false".`,
	},
	{
		Reason: string(HolderEdited), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Switchover: a user edited the Lease's holder.",
	},
	{
		Reason: string(NodeUnschedulable), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "Switchover: the master's node is cordoned, or has a taint that counts as a cordon, and an eligible pod is on another node.",
	},
	{
		Reason: string(PreferredEligible), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: `Switchover, or action "Stop" before one: a preferred pod has been eligible for as long as "qoqo.dev/failback" says.`,
	},
	{
		Reason: string(HigherPriority), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: `Switchover, or action "Stop" before one: the priority of an eligible pod, by its answer or its annotation, has been higher than the master's for as long as "qoqo.dev/failback" says.`,
		See:     "operations.md#have-the-application-say-which-pod-follows",
	},
	{
		Reason: string(LeaseLost), Type: corev1.EventTypeNormal, InLease: true,
		Meaning: "The Lease, its holder or the holder's UID had been removed or overwritten, and was restored. The master stays. After the loss of the Lease it has a new epoch, because the Lease may have said one more than is known.",
	},
	{
		Reason: string(EpochRestored), Type: corev1.EventTypeNormal,
		Meaning: "The Lease's epoch was lower than one that had been used, or higher than is allowed, and was restored.",
		Advice:  `Do not edit "leaseTransitions".`,
	},
	{
		Reason: string(EditRefused), Type: corev1.EventTypeWarning,
		Meaning: "The pod that a user wrote as holder cannot become master. The message says why.",
		Advice:  "Choose another pod, or do what the message says.",
	},
	{
		Reason: string(AwaitingEligible), InLease: true,
		Meaning: "There is no master yet, because no pod is eligible.",
		Advice:  "Look at the pods' readiness, and at the Service's selector.",
	},
	{
		Reason:  string(HolderEligible),
		Meaning: "The master is eligible. Nothing to do.",
	},
	{
		Reason: string(NobodyEligible), Type: corev1.EventTypeWarning,
		Meaning: "The master cannot serve, and neither can any other pod. The last holder is kept.",
		Advice:  "Look at the pods' readiness.",
	},
	{
		Reason: string(ElectionPaused), Type: corev1.EventTypeWarning,
		Meaning: "The master is not eligible, or there is none yet, but the election is paused.",
		Advice:  `Look at the master, or remove "qoqo.dev/paused".`,
		See:     "operations.md#pause",
	},
	{
		Reason: string(AwaitingHolder), Type: corev1.EventTypeWarning,
		Meaning: `The master is not eligible. The controller waits for it to recover ("qoqo.dev/failover-delay").`,
	},
	{
		Reason: string(AwaitingExpiry), Type: corev1.EventTypeWarning,
		Meaning: `The master is not eligible, but may not know that and may rely on its Lease. The controller waits until that expires ("qoqo.dev/lease-duration").`,
	},
	{
		Reason: string(AwaitingTermination), Type: corev1.EventTypeWarning,
		Meaning: `The master is not eligible, and has not been told to stop. Another pod follows once it has stopped ("qoqo.dev/handover: after-termination").`,
		Advice:  "If it does not stop by itself, delete its pod. If its node is dead, say so to Kubernetes.",
		See:     "operations.md",
	},
	{
		Reason: string(EpochsExhausted), Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The Lease says the highest epoch that there is, %d, and no other master can follow. Only an edit gets there.", api.MaxEpoch),
		Advice:  "Opt the Service out and in again. The epochs then begin anew, so what applications remember of them must be cleared first.",
	},
	{
		Reason: string(LeaseForeign), Type: corev1.EventTypeWarning,
		Meaning: "A Lease of that name exists that is not the controller's, such as that of an application's own leader election. The Service is left as it is. The message names the Lease and its holder, and says where the traffic goes.",
		Advice:  `Set "qoqo.dev/lease-name", or delete that Lease if nothing uses it.`,
	},
}
