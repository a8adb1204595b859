package api

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Event is the entry of a reason in the reference. Literal values in its texts stand in
// double quotes.
type Event struct {
	Reason string
	// Type is the type of the events with this reason. It is empty if there are none:
	// the reason then stands only in the Lease, the log and the plugin's output.
	Type string
	// InLease reports whether AnnotationReason may hold the reason.
	InLease bool
	// Meaning says what has happened.
	Meaning string
	// Advice says what to do about it; empty for nothing.
	Advice string
	// See is where docs/ says more, relative to that folder; empty for nowhere.
	See string
}

// Events returns the table of the events whose reasons are in this package. Package
// election has those of its own.
func Events() []Event { return slices.Clone(events) }

// Reasons of Problems.
const (
	ReasonUnknownServiceMode   = "UnknownServiceMode"
	ReasonUnsupportedService   = "UnsupportedService"
	ReasonForeignSelectorKey   = "ForeignSelectorKey"
	ReasonInvalidAnnotation    = "InvalidAnnotation"
	ReasonUnknownAnnotation    = "UnknownAnnotation"
	ReasonOverlappingElection  = "OverlappingElection"
	ReasonForeignEndpointSlice = "ForeignEndpointSlice"
	ReasonProbeUnanswered      = "ProbeUnanswered"
	ReasonInvalidAnswer        = "InvalidAnswer"
	ReasonDifferingSettings    = "DifferingSettings"
	ReasonNoCommonCandidate    = "NoCommonCandidate"
	ReasonNotPublished         = "NotPublished"
	ReasonWriteRefused         = "WriteRefused"
	ReasonPortUnresolved       = "PortUnresolved"
	ReasonUnmanagedPod         = "UnmanagedPod"
	ReasonGoverningService     = "GoverningService"
	ReasonDeletionPaused       = "DeletionPaused"
	ReasonMovesPaused          = "MovesPaused"
	ReasonLeaseContended       = "LeaseContended"
)

// Reasons of events of what the controller does beside the election.
const (
	ReasonSelectorReverted = "SelectorReverted"
	ReasonHolderDemoted    = "HolderDemoted"
	ReasonOptedOut         = "OptedOut"
)

var events = []Event{
	{
		Reason: ReasonHolderDemoted, Type: corev1.EventTypeNormal,
		Meaning: fmt.Sprintf("The former master's pod is deleted (\"%s: %s\").", AnnotationOnDemote, OnDemoteDelete),
	},
	{
		Reason: ReasonSelectorReverted, Type: corev1.EventTypeWarning,
		Meaning: "Another client had overwritten the controller's key in the selector, and the controller put it back. Until then all Ready pods may have got traffic. The message names the field manager.",
		Advice:  `Apply "manifests/fail-closed", or let the tool set a constant key, as the message says.`,
		See:     "gitops.md",
	},
	{
		Reason: ReasonNotPublished, Type: corev1.EventTypeWarning,
		Meaning: "For some seconds the Service's EndpointSlices have listed another pod than the master, or not the master, although all is written.",
		Advice:  "See whether kube-controller-manager runs: it makes the EndpointSlices of Services with a selector.",
		See:     "operations.md#troubleshooting",
	},
	{
		Reason: ReasonWriteRefused, Type: corev1.EventTypeWarning,
		Meaning: "For some seconds the API server has refused something that the controller must write. The message names the object, and has the API server's words.",
		Advice:  "Look at the admission policies, webhooks and quotas of the namespace, and at the controller's rights.",
		See:     "operations.md#troubleshooting",
	},
	{
		Reason: ReasonOptedOut, Type: corev1.EventTypeWarning,
		Meaning: "The Service has opted out, or is only observed now, and is left without endpoints, or with the last master alone, because of its selector.",
		Advice:  "Change the selector as the message says.",
		See:     "uninstall.md#what-a-service-is-left-with",
	},
	{
		Reason: ReasonForeignEndpointSlice, Type: corev1.EventTypeWarning,
		Meaning: "The Service has an EndpointSlice that neither the controller nor Kubernetes has made from the selector. What it lists gets traffic beside the master.",
		Advice:  "Delete that EndpointSlice, unless it is meant.",
		See:     "routing.md#endpointslice",
	},
	{
		Reason: ReasonProbeUnanswered, Type: corev1.EventTypeWarning,
		Meaning: "The master is Ready, but has not answered the controller's probe since it became master, or a pod cannot be asked. The message says why. Until then the pod's readiness alone counts.",
		Advice:  fmt.Sprintf(`Look at the probe's port, and at NetworkPolicies between "kube-system" and the pods. If its readiness probe cannot be asked, name another in %q.`, AnnotationProbe),
		See:     "probes.md",
	},
	{
		Reason: ReasonOverlappingElection, Type: corev1.EventTypeWarning,
		Meaning: "The Service of another election selects the same pods. The election of the oldest Service writes the pods' designation. A Service that routes by label then has the controller's key in its selector too.",
		Advice:  fmt.Sprintf("If both Services should have one master, set %q.", AnnotationLeaseName),
		See:     "elections.md#overlapping-elections",
	},
	{
		Reason: ReasonDifferingSettings, Type: corev1.EventTypeWarning,
		Meaning: "The Service shares a Lease and asks for other settings than the Service whose settings apply; or it does not say whether what the Lease remembers of such a Service, which is gone, still applies.",
		Advice:  "Set them on the Service that the message names.",
	},
	{
		Reason: ReasonNoCommonCandidate, Type: corev1.EventTypeWarning,
		Meaning: "The Service shares a Lease, but selects no pod that the others select. It has no endpoint, and its settings do not count. The others are served.",
		Advice:  "Let the Services select the same pods, or give this one a Lease of its own.",
	},
	{
		Reason: ReasonPortUnresolved, Type: corev1.EventTypeWarning,
		Meaning: "Pods that the Service selects have none of the ports that it names, so that they cannot become master; or no pod has one, so that the endpoint has no port.",
		Advice:  "Let the selector leave such pods out, or correct the name of the port.",
		See:     "elections.md#pods-without-the-services-port",
	},
	{
		Reason: ReasonUnmanagedPod, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The Service asks for \"%s: %s\", but no workload would create its pods anew. They are not deleted.", AnnotationOnDemote, OnDemoteDelete),
		Advice:  "Run the pods in a StatefulSet or a Deployment, or delete them by hand.",
		See:     "operations.md#end-open-connections",
	},
	{
		Reason: ReasonGoverningService, Type: corev1.EventTypeWarning,
		Meaning: "The Service is headless and gives its pods their DNS names, as a StatefulSet's governing Service does. The standbys have lost theirs.",
		Advice:  "Leave that Service plain, and annotate another one over the same pods.",
		See:     "elections.md#share-an-election",
	},
	{
		Reason: ReasonDeletionPaused, Type: corev1.EventTypeWarning,
		Meaning: "The master has moved more than five times within a minute. The pod that must be deleted is deleted later.",
		Advice:  "Look at why one pod after the other fails.",
		See:     "operations.md#end-open-connections",
	},
	{
		Reason: ReasonMovesPaused, Type: corev1.EventTypeWarning,
		Meaning: "The master has moved ten times within a minute. Until it moves less often, it moves once in six seconds at most.",
		Advice:  "Look for pods that fail in turn, and for programs that edit the Lease.",
	},
	{
		Reason: ReasonLeaseContended, Type: corev1.EventTypeWarning,
		Meaning: "Another program holds and renews the Lease as its own, as an application does whose leader election uses a Lease of that name. The message names its field manager. The master stays, and no epoch is spent.",
		Advice:  fmt.Sprintf("Give the election a Lease of its own with %q, or let the application use another.", AnnotationLeaseName),
		See:     "elections.md#a-lease-that-another-program-uses",
	},
	{
		Reason: ReasonUnknownServiceMode, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The value of %q is neither %q nor %q. The Service is left as it is, so that its traffic does not follow the master. The message says where it goes.", AnnotationServiceMode, ModeActiveStandby, ModeObserve),
		Advice:  "Correct the value, or remove the annotation.",
	},
	{
		Reason: ReasonUnsupportedService, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The Service is of type ExternalName, or has neither a selector of its own nor %q. It is left as it is.", AnnotationSelector),
		Advice:  "Give it a selector, or remove the annotation.",
	},
	{
		Reason: ReasonForeignSelectorKey, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The selector has a key of %q with a meaning that is not known. The Service is left as it is, so that its traffic does not follow the master. The message says where it goes.", Domain),
		Advice:  "Remove the key.",
	},
	{
		Reason: ReasonInvalidAnnotation, Type: corev1.EventTypeWarning,
		Meaning: "An annotation of the Service, or of one of its pods, is not valid or needs another one. Its default applies, or what is safer.",
		Advice:  "Correct it. The message says what is allowed.",
	},
	{
		Reason: ReasonInvalidAnswer, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("The %q in a pod's answer to the controller's probe is not valid. The pod's annotation counts instead.", HeaderPriority),
		Advice:  "Correct the application. The message says what is allowed.",
		See:     "probes.md#priority",
	},
	{
		Reason: ReasonUnknownAnnotation, Type: corev1.EventTypeWarning,
		Meaning: fmt.Sprintf("An annotation of %q is not known. It has no effect.", Domain),
		Advice:  "Correct or remove it. The message says which annotation was probably meant, or which exist.",
	},
}
