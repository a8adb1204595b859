package api

import (
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// Key is something that the controller writes into an object. Literal values in its
// texts stand in double quotes.
type Key struct {
	// Object is the kind of object that carries it.
	Object string
	// Where is the part of the object that holds it, such as "label".
	Where string
	Key   string
	// Value says what the value is.
	Value string
}

// Written returns the table of what the controller writes.
func Written() []Key { return slices.Clone(written) }

// Parts of an object in which Key stands.
const (
	inSelector   = "selector"
	inLabel      = "label"
	inAnnotation = "annotation"
	inSpec       = "spec"
	inName       = "name"
	inCondition  = "condition"
)

var written = []Key{
	{ObjectService, inSelector, LabelPodUID, fmt.Sprintf("The master's UID, or %q before there is a first master. No two pods can match it.", NoPod)},
	{ObjectService, inSelector, LabelRouting, fmt.Sprintf("%q with that routing, in the place of %q. No pod carries it, so Kubernetes publishes no endpoints.", RoutingEndpointSlice, LabelPodUID)},
	{ObjectService, inAnnotation, AnnotationLeaseTransitions, "The epoch for which the selector was written."},
	{ObjectService, inLabel, LabelMigrating, fmt.Sprintf("The epoch, while the Service changes to or from routing %q. Kubernetes copies it to its EndpointSlices, which shows that it has followed.", RoutingEndpointSlice)},
	{ObjectService, inCondition, ConditionMasterReady, fmt.Sprintf("\"True\" (%q) while the master is eligible, and alone gets the traffic; else \"False\", with a reason of the table of events and its message. With \"%s: %s\" it is \"Unknown\" (%q, or such a reason). It is written when that has changed for longer than a failover takes.", MasterReady, AnnotationServiceMode, ModeObserve, Observed)},

	{ObjectPod, inLabel, LabelPodUID, "The pod's own UID."},
	{ObjectPod, inLabel, LabelDesignation, fmt.Sprintf("%q on the master, %q on the other candidates.", DesignationActive, DesignationStandby)},
	{ObjectPod, inAnnotation, AnnotationLeaseTransitions, "On the master, its epoch. On a standby, the epoch in which it became a standby."},
	{ObjectPod, inAnnotation, AnnotationWitness, "The pod's own UID and, once the pod has been master, \"@\" and the epoch of the last time; once no Service selects the master, also \"/\" and the name of its Lease. The stamp counts only beside it, so that a copied one does not."},
	{ObjectPod, inAnnotation, AnnotationDeletionCost, fmt.Sprintf("%q on the master: a ReplicaSet that scales down deletes the master last. A value that a user has set is left alone.", MasterDeletionCost)},

	{ObjectLease, inLabel, LabelManagedBy, fmt.Sprintf("%q. A Lease without it is not the controller's and is never changed.", ManagedBy)},
	{ObjectLease, inSpec, "holderIdentity", "The master's name. Edit it to switch over."},
	{ObjectLease, inSpec, "leaseTransitions", "The epoch: the fencing token. It rises with each change of the holder."},
	{ObjectLease, inSpec, "acquireTime", "When the holder became master."},
	{ObjectLease, inSpec, "renewTime", "When the controller last wrote the Lease for the holder, or renewed it."},
	{ObjectLease, inSpec, "leaseDurationSeconds", fmt.Sprintf("What %q asks for; else it is not set.", AnnotationLeaseDuration)},
	{ObjectLease, inAnnotation, AnnotationHolderUID, "The master's UID. It tells a pod of a StatefulSet from the next pod of that name."},
	{ObjectLease, inAnnotation, AnnotationRecord, "The epoch and the master's UID once more, as \"EPOCH/UID\". An edit of the master's UID is told by it."},
	{ObjectLease, inAnnotation, AnnotationReason, "Why the holder became master: a reason of the table of events."},
	{ObjectLease, inAnnotation, AnnotationNextHolder, fmt.Sprintf("The pod that a user has asked for, while the master has yet to stop (\"%s: %s\"). Remove it to take the request back.", AnnotationHandover, HandoverAfterTermination)},
	{ObjectLease, inAnnotation, AnnotationDemotedUID, fmt.Sprintf("The UID of the former master that must be deleted (\"%s: %s\").", AnnotationOnDemote, OnDemoteDelete)},
	{ObjectLease, inAnnotation, AnnotationHistory, "The last moves of the master, the oldest first, as JSON."},
	{ObjectLease, inAnnotation, AnnotationLeadingService, fmt.Sprintf("The Service that has asked for %q or %q. Both stay in force until another Service of the election asks for something else.", AnnotationHandover, AnnotationLeaseDuration)},
	{ObjectLease, inAnnotation, AnnotationHandover, fmt.Sprintf("%q if that Service has asked for it.", HandoverAfterTermination)},

	{ObjectEndpointSlice, inName, "<service>-master-ipv4", fmt.Sprintf("The master's IPv4 endpoint, with routing %q.", RoutingEndpointSlice)},
	{ObjectEndpointSlice, inName, "<service>-master-ipv6", fmt.Sprintf("The master's IPv6 endpoint, with routing %q.", RoutingEndpointSlice)},
	{ObjectEndpointSlice, inLabel, discoveryv1.LabelManagedBy, fmt.Sprintf("%q on the controller's own EndpointSlices.", SliceManagedBy)},
	{ObjectEndpointSlice, inAnnotation, AnnotationLeaseTransitions, "The epoch for which the EndpointSlice was written."},
	{ObjectEndpointSlice, inAnnotation, AnnotationHolderUID, "The master's UID, while the EndpointSlice does not list the master."},
	{ObjectEndpointSlice, inAnnotation, AnnotationRouting, fmt.Sprintf("While the Service changes to or from routing %q.", RoutingEndpointSlice)},
}
