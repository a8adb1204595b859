package controller

// fault is one that is known, and not mended yet.
type fault string

const (
	lastTrace               fault = "the last trace of an epoch"
	copiedMarks             fault = "copied marks"
	replaced                fault = "a Service that is replaced"
	refusedSetting          fault = "a safety setting of a refused Service"
	unreadableSetting       fault = "a safety setting that cannot be read"
	ourKeysAlone            fault = "our keys alone"
	optingOutWithTheStamp   fault = "opting out with the stamp"
	overwrittenAndMigrating fault = "a selector overwritten while migrating"
	zoneSetLate             fault = "a zone that is set late"
	othersJoin              fault = "joined by a Service with other pods"
	cordonedAndBehind       fault = "a node that is cordoned, and pods that are not heard of"
	narrowerMember          fault = "a member that selects fewer pods"
	policyStays             fault = "a policy that stays"
	forgedHolder            fault = "a forged holder"
	forgedEpochs            fault = "a forged epoch"
	forgedStamp             fault = "a forged stamp"
	forgedDemotion          fault = "a forged demotion"
)

// mended are the faults that actors do not spare the controller any more.
type mended map[fault]bool

// knownFaults is what the simulation spares the controller, so that it finds what is not
// known. Who mends one takes it off the list, and its name out of whatever asks for it.
var knownFaults = []struct {
	name fault
	what string
	// spared is what the simulation does about it.
	spared string
}{
	{
		lastTrace, "an epoch that stands in the Lease alone is given out again if the Lease is deleted",
		"a Lease is deleted only when its Service has the same epoch",
	},
	{
		copiedMarks, "while there is no Lease, a pod that was created with the master's labels and annotations is taken for the master, in the same epoch",
		"no Lease is deleted while there is such a pod, and none is created while there is no Lease",
	},
	{
		replaced, "a Service that is deleted and created again begins a new election if the garbage collector takes the Lease meanwhile, though the master runs",
		"an election ends with its Lease",
	},
	{
		refusedSetting, "a typing error in the mode of the Service whose settings count switches off that nobody follows a master which may run",
		"no such Service gets one",
	},
	{
		unreadableSetting, "a handover that cannot be read is the default, which is the less safe one",
		"none is written",
	},
	{
		ourKeysAlone, "a Service whose selector holds nothing but the controller's own key, and that says whom to elect from in an annotation, has no endpoint, and is looked at again for ever",
		"the last key of a user stays",
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
	{
		othersJoin, "a Service that joins an election, or is changed, so that it does not select the holder takes its endpoint from the others",
		"such a holder need not be listed",
	},
	{
		cordonedAndBehind, "a move away from a cordoned node is confirmed by reading nodes alone; it goes to a pod that is ready in the cache, though it is gone",
		"such a move may go to a pod that could not be master",
	},
	{
		narrowerMember, "two elections write the identity label of a pod in turns, for ever, if only some Services of the one select it",
		"where there are other elections, the Services of one select the same",
	},
	{
		policyStays, "a Service stays open to all pods as long as a policy lets none of them be labelled",
		"policies end before anything comes to rest",
	},
	{
		forgedHolder, "who writes a holder and its UID into a Lease makes a master in the same epoch",
		"what is forged counts from then on",
	},
	{
		forgedEpochs, "after the highest epoch they begin anew",
		"no epoch is forged that is so high",
	},
	{
		forgedStamp, "a pod that is created with a stamp is believed, of whatever epoch",
		"none is",
	},
	{
		forgedDemotion, "a pod that is written into a Lease as demoted is deleted, though it never held the Lease",
		"none is",
	},
}
