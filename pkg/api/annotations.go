package api

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/ptr"
)

// Annotation is an annotation that users may set. Literal values in its texts stand
// in double quotes.
type Annotation struct {
	Key string
	// Object is the kind of object that carries it: ObjectService or ObjectPod.
	Object string
	// Default is the value that applies if the annotation is missing, and also if it is not
	// valid and Safe is empty. If both are empty, an annotation that is not valid is ignored.
	Default string
	// Safe is the value that applies if the annotation is not valid: a typing error must not
	// switch off what keeps two pods from being master.
	Safe string
	// Allowed says which values are valid.
	Allowed string
	// Sentence says what the annotation is for.
	Sentence string
	// See is where docs/ says more, relative to that folder; empty for nowhere.
	See string

	// needs is an annotation without which a value other than Default has no effect.
	needs string
	// read reads the value into the settings of a Service.
	read func(p *parser, value string)
	// differs reports whether two Services of one election ask for different things.
	// It is nil if that is no contradiction.
	differs func(a, b Election) bool
}

// Kinds of objects that Annotation and Key speak of.
const (
	ObjectService       = "Service"
	ObjectPod           = "Pod"
	ObjectLease         = "Lease"
	ObjectEndpointSlice = "EndpointSlice"
)

// Annotations returns the table of the annotations that users may set, in the order
// in which they are read and documented.
func Annotations() []Annotation { return slices.Clone(annotations) }

var annotations = []Annotation{
	{
		Key: AnnotationServiceMode, Object: ObjectService,
		Allowed:  allowedMode,
		Sentence: fmt.Sprintf("%q opts the Service in. %q elects a master too, and only tells what it would do: neither the Service's selector nor the pods are touched. With any other value the Service is left as it is, and a Warning event says so, and where its traffic goes.", ModeActiveStandby, ModeObserve),
		See:      "elections.md#observe-an-election",
		// Parse reads it before all others.
	},
	{
		Key: AnnotationRouting, Object: ObjectService,
		Default:  string(RoutingSelector),
		Allowed:  fmt.Sprintf("%q or %q", RoutingSelector, RoutingEndpointSlice),
		Sentence: fmt.Sprintf("How traffic follows the master. --default-routing sets the default of Services that opt in. Routing by label is chosen in the Service's selector instead, with \"%s: %s\".", LabelDesignation, DesignationActive),
		See:      "routing.md",
		read:     (*parser).routing,
	},
	{
		Key: AnnotationSelector, Object: ObjectService,
		Allowed:  `a label selector, such as "app=web,tier in (a,b)"`,
		Sentence: "Selects the candidates of a Service that has no selector of its own. Such a Service is routed by EndpointSlice, and nothing of it is written but a condition of its status.",
		See:      "routing.md#endpointslice",
		read:     (*parser).candidates,
	},
	{
		Key: AnnotationLeaseName, Object: ObjectService,
		Allowed:  "the name of a Lease: a DNS subdomain",
		Sentence: "Names the Lease. Without it, the Lease has the Service's name. Services that name the same Lease share one election.",
		read:     (*parser).leaseName,
	},
	{
		Key: AnnotationPrefer, Object: ObjectService,
		Allowed:  `a label selector, such as "apps.kubernetes.io/pod-index=0" or "tier=fast,disk!=slow"`,
		Sentence: "Selects the pods that are preferred when a master is elected.",
		See:      "operations.md#prefer-a-pod",
		read:     (*parser).prefer,
		differs:  func(a, b Election) bool { return a.Prefer.String() != b.Prefer.String() },
	},
	{
		Key: AnnotationFailback, Object: ObjectService,
		Default:  FailbackNever,
		Allowed:  fmt.Sprintf("%q, or a duration of \"0s\" or more, such as \"10m\"", FailbackNever),
		Sentence: fmt.Sprintf("Moves the master to a preferred pod, once that pod has been Ready, and the master been master, for this long; and to a pod of a higher %q, once that has also been higher for this long.", AnnotationPriority),
		See:      "operations.md#prefer-a-pod",
		read:     (*parser).failback,
		differs:  func(a, b Election) bool { return !ptr.Equal(a.Failback, b.Failback) },
	},
	{
		Key: AnnotationFailoverDelay, Object: ObjectService,
		Default:  "0s",
		Allowed:  `a duration of "0s" or more, such as "10s"`,
		Sentence: "How long the controller waits for a master that is not eligible, but may recover. It does not wait for a master that is terminating or gone.",
		See:      "operations.md#wait-for-a-master-that-stumbles",
		read:     (*parser).failoverDelay,
		differs:  func(a, b Election) bool { return a.FailoverDelay != b.FailoverDelay },
	},
	{
		Key: AnnotationPaused, Object: ObjectService,
		Default:  "false",
		Safe:     "true",
		Allowed:  allowedBool,
		Sentence: "Stops all transitions, also those by hand.",
		See:      "operations.md#pause",
		read:     (*parser).paused,
		differs:  func(a, b Election) bool { return a.Paused != b.Paused },
	},
	{
		Key: AnnotationHandover, Object: ObjectService,
		Default:  HandoverImmediate,
		Safe:     HandoverAfterTermination,
		Allowed:  fmt.Sprintf("%q or %q", HandoverImmediate, HandoverAfterTermination),
		Sentence: fmt.Sprintf("With %q, another pod becomes master only once the former master has stopped.", HandoverAfterTermination),
		See:      "operations.md",
		read:     (*parser).handover,
		differs:  func(a, b Election) bool { return a.AfterTermination != b.AfterTermination },
	},
	{
		Key: AnnotationOnDemote, Object: ObjectService,
		Default:  OnDemoteNone,
		Allowed:  fmt.Sprintf("%q or %q", OnDemoteNone, OnDemoteDelete),
		Sentence: fmt.Sprintf("With %q, the pod that is no longer master, or that must make room for the next, is deleted. That ends its open connections.", OnDemoteDelete),
		See:      "operations.md#end-open-connections",
		read:     (*parser).onDemote,
		differs:  func(a, b Election) bool { return a.DeleteDemoted != b.DeleteDemoted },
	},
	{
		Key: AnnotationOnCordon, Object: ObjectService,
		Default:  OnCordonMove,
		Allowed:  fmt.Sprintf("%q or %q", OnCordonMove, OnCordonStay),
		Sentence: fmt.Sprintf("With %q, the master stays on a node that is cordoned until it is evicted, and a user may move it to such a node.", OnCordonStay),
		See:      "operations.md#drain-a-node",
		read:     (*parser).onCordon,
		differs:  func(a, b Election) bool { return a.StayOnCordon != b.StayOnCordon },
	},
	{
		Key: AnnotationLeaseDuration, Object: ObjectService,
		Allowed:  fmt.Sprintf("a duration in whole seconds from %q to %q, such as \"15s\"", MinLeaseDuration, MaxLeaseDuration),
		Sentence: "Renews the Lease while the master is eligible, so that an application can fence itself. The Lease is valid for this long after each renewal. Without it, the Lease is valid for ever and is not renewed.",
		See:      "applications.md#fencing",
		read:     (*parser).leaseDuration,
		differs:  func(a, b Election) bool { return a.LeaseDuration != b.LeaseDuration },
	},
	{
		Key: AnnotationProbe, Object: ObjectService,
		Allowed:  AllowedProbes,
		Sentence: fmt.Sprintf("How the controller itself probes the pods. With %q it asks what a pod's own readiness probe asks, with %q nothing. Without it, --default-probe applies; by default the controller relies on the pods' readiness.", ProbeReadiness, ProbeNone),
		See:      "probes.md",
		read:     (*parser).probe,
		differs:  func(a, b Election) bool { return a.Probe != b.Probe },
	},
	{
		Key: AnnotationProbeInterval, Object: ObjectService,
		Default:  defaultProbeTime.String(),
		Allowed:  allowedTime(MinProbeTime, MaxProbeTime),
		Sentence: "The time from one probe of the master to the next. A standby is probed four times less often.",
		See:      "probes.md",
		needs:    AnnotationProbe,
		read:     (*parser).probeInterval,
	},
	{
		Key: AnnotationProbeTimeout, Object: ObjectService,
		Default:  defaultProbeTime.String(),
		Allowed:  allowedTime(MinProbeTime, MaxProbeTimeout),
		Sentence: fmt.Sprintf("After how long a missing answer to a probe is a failure, connecting included. A later answer still counts. With %q the default is the readiness probe's timeoutSeconds, if that is above 1.", ProbeReadiness),
		See:      "probes.md",
		needs:    AnnotationProbe,
		read:     (*parser).probeTimeout,
	},
	{
		Key: AnnotationProbeFailures, Object: ObjectService,
		Default:  fmt.Sprint(defaultProbeFailures),
		Allowed:  fmt.Sprintf("a number from \"%d\" to \"%d\"", MinProbeFailures, MaxProbeFailures),
		Sentence: "How many failures in a row make a pod suspected. A pod that was slow lately gets more time.",
		See:      "probes.md",
		needs:    AnnotationProbe,
		read:     (*parser).probeFailures,
	},
	candidate,
	priority,
}

// candidate is read by Candidate.
var candidate = Annotation{
	Key: AnnotationCandidate, Object: ObjectPod,
	Default:  "true",
	Allowed:  allowedBool,
	Sentence: "With \"false\", the pod cannot become master. If it is master and another pod is eligible, that pod takes over.",
	See:      "operations.md#keep-a-pod-out",
}

// priority is read by Priority.
var priority = Annotation{
	Key: AnnotationPriority, Object: ObjectPod,
	Default:  "0",
	Allowed:  `a whole number of 64 bits, such as "100" or "-1"`,
	Sentence: fmt.Sprintf("Of the pods that can become master, the one with the highest number follows a master that fails. It may change at any time, and moves no master, except with %q. A pod that answers the controller's probe with the header %q has that number instead.", AnnotationFailback, HeaderPriority),
	See:      "operations.md#have-the-application-say-which-pod-follows",
}

var allowedMode = fmt.Sprintf("%q or %q", ModeActiveStandby, ModeObserve)

const allowedBool = `"true" or "false"`

func allowedTime(shortest, longest time.Duration) string {
	return fmt.Sprintf("a duration from %q to %q, such as \"250ms\"", shortest, longest)
}

// invalid says that a value is not valid, and what happens instead. The subject is
// empty for a Service; wrong is a predicate.
func (a *Annotation) invalid(subject, value, wrong string) Problem {
	instead := "it is ignored"
	if used := cmp.Or(a.Safe, a.Default); used != "" {
		instead = fmt.Sprintf("%q is used", used)
	} else if a.Key == AnnotationLeaseDuration {
		instead = "the Lease keeps the duration that it has"
	}
	return Problem{ReasonInvalidAnnotation, fmt.Sprintf("annotation %s%s: %q %s; allowed: %s; %s", a.Key, subject, cut(value), wrong, a.Allowed, instead)}
}
