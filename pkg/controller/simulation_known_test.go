package controller

// fault is one that is known, and not mended yet.
type fault string

const (
	wakingTooFew            fault = "waking too few"
	lastTrace               fault = "the last trace of an epoch"
	ourKeysAlone            fault = "our keys alone"
	copiedMarks             fault = "copied marks"
	optingOutWithTheStamp   fault = "opting out with the stamp"
	overwrittenAndMigrating fault = "a selector overwritten while migrating"
	zoneSetLate             fault = "a zone that is set late"
)

// mended are the faults that actors do not spare the controller any more.
type mended map[fault]bool

// knownFaults is what the simulation spares the controller, so that it finds what is not
// known. Who mends one takes it off the list, and its name out of the actor that asks for it.
var knownFaults = []struct {
	name fault
	what string
	// spared is what the actors do about it.
	spared string
}{
	{
		wakingTooFew, "an event wakes only the elections that select the pod now, or the Service's own; an election that waits for something else is not looked at again",
		"whatever a replica hears of wakes all elections of the namespace",
	},
	{
		lastTrace, "an epoch that stands in the Lease alone is given out again if the Lease is deleted",
		"a Lease is deleted only when its Service has the same epoch",
	},
	{
		ourKeysAlone, "a Service whose selector holds nothing but the controller's own key, and that says whom to elect from in an annotation, has no endpoint, and is looked at again for ever",
		"who takes the last key away takes away the controller's, too",
	},
	{
		copiedMarks, "while there is no Lease, a pod that was created with the master's labels and annotations is taken for the master, in the same epoch",
		"no Lease is deleted while there is such a pod, and none is created while there is no Lease",
	},
	{
		optingOutWithTheStamp, "of a Service that opts out by removing all annotations, the stamp among them, the selector is not restored",
		"who opts out removes one annotation",
	},
	{
		overwrittenAndMigrating, "a Service that migrates to EndpointSlices, while Kubernetes has yet to hear that its selector was overwritten, lists the holder beside the pod that Kubernetes lists",
		"two pods may be listed for as long as Kubernetes has yet to hear of the open selector",
	},
	{
		zoneSetLate, "nobody looks again at the EndpointSlices of a pod whose node gets its zone late",
		"all nodes have a zone",
	},
}
