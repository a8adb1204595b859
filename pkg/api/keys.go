// Package api is the contract with users: the keys that they and the
// controller write on Services, pods and Leases, and what the values mean.
// It imports nothing of this project; every other package may import it.
package api

// Domain is the prefix of every key.
const Domain = "qoqo.dev"

// Annotations that users set on a Service.
const (
	// AnnotationServiceMode opts a Service in; ModeActiveStandby is its only value.
	AnnotationServiceMode = Domain + "/service-mode"
	// AnnotationRouting says how traffic follows the holder; see Routing.
	AnnotationRouting = Domain + "/routing"
	// AnnotationLeaseName names the Lease, by default the Service's name.
	// Services that name the same Lease share one election.
	AnnotationLeaseName = Domain + "/lease-name"
	// AnnotationPrefer is a label selector of the pods to be preferred when a
	// master is elected.
	AnnotationPrefer = Domain + "/prefer"
	// AnnotationFailback is FailbackNever or how long a preferred pod must have been
	// Ready, and the master been master, before the master moves back to it.
	AnnotationFailback = Domain + "/failback"
	// AnnotationFailoverDelay is how long a master is waited for that is not
	// eligible, but may become so again.
	AnnotationFailoverDelay = Domain + "/failover-delay"
	// AnnotationPaused, if true, lets no master move; see Settings.Paused.
	AnnotationPaused = Domain + "/paused"
	// AnnotationHandover is HandoverImmediate or HandoverAfterTermination.
	AnnotationHandover = Domain + "/handover"
	// AnnotationOnDemote is OnDemoteNone or OnDemoteDelete.
	AnnotationOnDemote = Domain + "/on-demote"
	// AnnotationLeaseDuration asks for heartbeats; see Settings.LeaseDuration.
	AnnotationLeaseDuration = Domain + "/lease-duration"
	// AnnotationSelector is a label selector of the candidates of a Service that
	// has no selector of its own.
	AnnotationSelector = Domain + "/selector"
	// AnnotationProbe is how the controller itself asks pods whether they serve;
	// see Probe, of which the others set a field.
	AnnotationProbe         = Domain + "/probe"
	AnnotationProbeInterval = Domain + "/probe-interval"
	AnnotationProbeTimeout  = Domain + "/probe-timeout"
	AnnotationProbeFailures = Domain + "/probe-failures"
)

// AnnotationCandidate on a pod, if false, keeps it from being master.
const AnnotationCandidate = Domain + "/candidate"

// ModeActiveStandby is the value of AnnotationServiceMode that opts in.
const ModeActiveStandby = "active-standby"

// Values of users' annotations.
const (
	FailbackNever = "never"
	// HandoverImmediate elects as soon as the master is not eligible.
	HandoverImmediate = "immediate"
	// HandoverAfterTermination elects once the former master has stopped: its pod is
	// gone or has ended.
	HandoverAfterTermination = "after-termination"
	OnDemoteNone             = "none"
	// OnDemoteDelete deletes the pod that is, or is to be, no longer master.
	OnDemoteDelete = "delete"
)

// Labels and annotations that the controller writes.
const (
	// LabelPodUID is the identity label: on a pod its own UID, in a Service's
	// selector the master's UID, or NoPod. No two pods can match one value.
	LabelPodUID = Domain + "/pod-uid"
	// LabelRouting is RoutingEndpointSlice in the selector of a Service whose
	// EndpointSlices the controller writes. No pod carries it, so that nobody else
	// writes any.
	LabelRouting = Domain + "/routing"
	// LabelDesignation is DesignationActive on the master and
	// DesignationStandby on every other candidate.
	LabelDesignation = Domain + "/pod-designation"
	// AnnotationLeaseTransitions is the stamp: the epoch (the Lease's
	// spec.leaseTransitions) that the object was last written for. A standby
	// keeps the stamp of the epoch in which it became one.
	AnnotationLeaseTransitions = Domain + "/lease-transitions"
	// AnnotationHolderUID, on the Lease, tells incarnations of a pod apart.
	AnnotationHolderUID = Domain + "/holder-uid"
	// AnnotationReason, on the Lease, is the election's reason for its last
	// change.
	AnnotationReason = Domain + "/reason"
	// AnnotationNextHolder, on the Lease, is the name of the pod that somebody has
	// asked for, while the master that it is to replace has yet to stop.
	AnnotationNextHolder = Domain + "/next-holder"
	// AnnotationDemotedUID, on the Lease, is the UID of the pod that is to be deleted,
	// as it was master before and AnnotationOnDemote asked for that.
	AnnotationDemotedUID = Domain + "/demoted-uid"
	// AnnotationHistory, on the Lease, has the last moves of the master as JSON.
	AnnotationHistory = Domain + "/history"
	// AnnotationDeletionCost is Kubernetes' own: a ReplicaSet that scales down
	// deletes the pods of the lowest cost first.
	AnnotationDeletionCost = "controller.kubernetes.io/pod-deletion-cost"
)

// Values of the keys above.
const (
	// NoPod is the selector's value before there is a first master: it matches
	// no pod, since a UID it is not.
	NoPod = "none"

	DesignationActive  = "active"
	DesignationStandby = "standby"

	// MasterDeletionCost is an unlikely number (2^30 of an int32), so that it
	// is told apart from a cost that a user has set, which is left alone.
	MasterDeletionCost = "1073741824"
)

// MaxEpoch is the highest epoch that counts; a higher one, which no cluster
// reaches, is a mistake of somebody's and taken for none. Beyond an int32, which
// leaseTransitions is, no further transition would be possible.
const MaxEpoch int32 = 1 << 30

// ManagedBy is the value of the label app.kubernetes.io/managed-by on Leases
// that are the controller's, and the field manager of its writes.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "active-standby-controller"
)

// SliceManagedBy is the value of the label endpointslice.kubernetes.io/managed-by
// on EndpointSlices that are the controller's.
const SliceManagedBy = Domain

// Routing is a way of making traffic follow the holder.
type Routing string

const (
	// RoutingSelector puts the master's UID into the Service's selector.
	RoutingSelector Routing = "selector"
	// RoutingLabel is chosen by a Service whose selector holds
	// LabelDesignation=active: only the pods' labels move.
	RoutingLabel Routing = "label"
	// RoutingEndpointSlice writes the Service's EndpointSlices, which Kubernetes
	// otherwise would.
	RoutingEndpointSlice Routing = "endpointslice"
)
