// Package api is the contract with users: the keys that users and the controller
// write on Services, pods and Leases, and what the values mean. Three tables hold
// it: Annotations, Written and Events. docs/reference.md is generated from them.
//
// The package imports no other package of this project, so every other package
// may import it.
package api

// Domain is the prefix of every key.
const Domain = "qoqo.dev"

// Annotations that users set on a Service. The table in annotations.go says what
// each of them does.
const (
	AnnotationServiceMode   = Domain + "/service-mode"
	AnnotationRouting       = Domain + "/routing"
	AnnotationSelector      = Domain + "/selector"
	AnnotationLeaseName     = Domain + "/lease-name"
	AnnotationPrefer        = Domain + "/prefer"
	AnnotationFailback      = Domain + "/failback"
	AnnotationFailoverDelay = Domain + "/failover-delay"
	AnnotationPaused        = Domain + "/paused"
	AnnotationHandover      = Domain + "/handover"
	AnnotationOnDemote      = Domain + "/on-demote"
	AnnotationOnCordon      = Domain + "/on-cordon"
	AnnotationLeaseDuration = Domain + "/lease-duration"
	AnnotationProbe         = Domain + "/probe"
	AnnotationProbeInterval = Domain + "/probe-interval"
	AnnotationProbeTimeout  = Domain + "/probe-timeout"
	AnnotationProbeFailures = Domain + "/probe-failures"
)

// Annotations that users, or the application, set on a pod.
const (
	AnnotationCandidate = Domain + "/candidate"
	AnnotationPriority  = Domain + "/priority"
)

// HeaderPriority is the header of an answer to the controller's probe by HTTP, and in lower case the
// trailer of one by gRPC, that says what AnnotationPriority would. While the answer is fresh, it counts before
// the annotation.
const HeaderPriority = "Qoqo-Priority"

// ConditionMasterReady is the type of the condition that the controller writes into the status of
// an annotated Service: whether the master is eligible, and alone gets the traffic. It is written
// when that changes for longer than a failover takes, and taken away when the Service opts out.
const ConditionMasterReady = Domain + "/MasterReady"

// MasterReady is the reason of ConditionMasterReady while it is true. While it is false, the
// reason is one of the table of events. With ModeObserve it is unknown, for one of those reasons
// or, if nothing is wrong, because the Service is Observed.
const (
	MasterReady = "MasterReady"
	Observed    = "Observed"
)

// Values of AnnotationServiceMode.
const (
	// ModeActiveStandby opts in.
	ModeActiveStandby = "active-standby"
	// ModeObserve elects a master, and changes nothing of the Service but its condition, and
	// nothing of its pods.
	ModeObserve = "observe"
)

// OnlyObserved ends each message of what the controller would do, but for ModeObserve.
const OnlyObserved = "; the Service and its pods are left as they are (" + AnnotationServiceMode + ": " + ModeObserve + ")"

// Values of users' annotations.
const (
	FailbackNever = "never"
	// HandoverImmediate elects as soon as the master is not eligible.
	HandoverImmediate = "immediate"
	// HandoverAfterTermination elects once the former master has stopped: its pod is
	// gone, or all its containers have ended.
	HandoverAfterTermination = "after-termination"
	OnDemoteNone             = "none"
	// OnDemoteDelete deletes the pod that is no longer master, or that must make
	// room for the next master.
	OnDemoteDelete = "delete"
	// OnCordonMove moves the master off a node that is cordoned.
	OnCordonMove = "move"
	OnCordonStay = "stay"
	// ProbeNone keeps the controller's default probe from a Service.
	ProbeNone = "none"
)

// DrainTaints returns the keys of the taints that by default count as a cordon: those with
// which Karpenter and the cluster autoscaler mark a node that they are about to drain. The
// autoscaler's DeletionCandidateOfClusterAutoscaler is not among them, because most nodes lose
// it again.
func DrainTaints() []string {
	return []string{"karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler"}
}

// Labels and annotations that the controller writes. The table in written.go says
// on which objects, and what for.
const (
	LabelPodUID      = Domain + "/pod-uid"
	LabelRouting     = Domain + "/routing"
	LabelDesignation = Domain + "/pod-designation"
	// LabelMigrating is on a Service while it changes to or from EndpointSlices of its own:
	// the epoch. Kubernetes copies a Service's labels to its EndpointSlices, which shows that
	// it works with a Service that is no older.
	LabelMigrating = Domain + "/migrating"
	// AnnotationLeaseTransitions is the stamp: the epoch (the Lease's
	// spec.leaseTransitions) that the object was last written for.
	AnnotationLeaseTransitions = Domain + "/lease-transitions"
	// AnnotationWitness stands beside the stamp on a pod: the pod's UID and, after "@", the
	// epoch in which the pod was master last. Once no Service selects the master, "/" and the
	// name of its Lease follow. A stamp that was copied from another pod, with
	// or without its witness, does not count.
	AnnotationWitness   = Domain + "/witness"
	AnnotationHolderUID = Domain + "/holder-uid"
	// AnnotationRecord is the epoch and the holder's UID once more, as "EPOCH/UID". It tells
	// an edit of the Lease's holder UID from what the controller has written.
	AnnotationRecord     = Domain + "/record"
	AnnotationReason     = Domain + "/reason"
	AnnotationNextHolder = Domain + "/next-holder"
	AnnotationDemotedUID = Domain + "/demoted-uid"
	AnnotationHistory    = Domain + "/history"
	// AnnotationLeadingService names the Service whose handover and duration the Lease
	// remembers. AnnotationHandover stands beside it if it is HandoverAfterTermination.
	AnnotationLeadingService = Domain + "/leading-service"
	// AnnotationDeletionCost is Kubernetes' own: a ReplicaSet that scales down
	// deletes the pods of the lowest cost first.
	AnnotationDeletionCost = "controller.kubernetes.io/pod-deletion-cost"
)

// Values of the keys above.
const (
	// NoPod is the value of LabelPodUID in the selector before there is a first
	// master. It is no UID, so it matches no pod.
	NoPod = "none"

	DesignationActive  = "active"
	DesignationStandby = "standby"

	// MasterDeletionCost is an unlikely number (2^30 of an int32), so that it can be
	// told apart from a cost that a user has set. The user's is left alone.
	MasterDeletionCost = "1073741824"
)

// MaxEpoch is the highest epoch that counts. No cluster reaches it by transitions, so
// a higher one is a mistake and is taken for none: leaseTransitions is an int32, and
// after its highest value no transition would be possible.
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
	// RoutingEndpointSlice writes the Service's EndpointSlices in Kubernetes' place.
	RoutingEndpointSlice Routing = "endpointslice"
)
