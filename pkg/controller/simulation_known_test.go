package controller

import (
	"slices"
	"testing"
)

// fault is one that is known, and not mended yet.
type fault string

const (
	ourKeysAlone            fault = "our keys alone"
	optingOutWithTheStamp   fault = "opting out with the stamp"
	overwrittenAndMigrating fault = "a selector overwritten while migrating"
	zoneSetLate             fault = "a zone that is set late"
	othersJoin              fault = "joined by a Service with other pods"
	cordonedAndBehind       fault = "a node that is cordoned, and pods that are not heard of"
	narrowerMember          fault = "a member that selects fewer pods"
	policyStays             fault = "a policy that stays"
)

// mended are the faults that actors no longer spare the controller.
type mended map[fault]bool

// knownFaults is what the simulation spares the controller, so that it finds what is not
// known. Who mends one takes it off the list, and its name out of whatever asks for it.
var knownFaults = []struct {
	name fault
	what string
	// spared is what the simulation does about it.
	spared string
	// profile and history are a run that fails, if nothing is spared.
	profile string
	history []told
}{
	{
		ourKeysAlone, "a Service whose selector holds nothing but the controller's own key, and that says whom to elect from in an annotation, has no endpoint, and is looked at again for ever",
		"the last key of a user stays",
		"a Service that loses its selector",
		[]told{{"unselect", 0, 0}, {"narrow", 0, 1}, {"settle", 0, 0}, {"narrow", 0, 0}, {"settle", 0, 0}},
	},
	{
		optingOutWithTheStamp, "of a Service that opts out by removing all annotations, the stamp among them, the selector is not restored",
		"who opts out removes one annotation",
		"opting out and in",
		[]told{{"settle", 0, 0}, {"mode", 0, 0}, {"settle", 0, 0}},
	},
	{
		overwrittenAndMigrating, "a Service that migrates to EndpointSlices, while Kubernetes has yet to hear that its selector was overwritten, lists the holder beside the pod that Kubernetes lists",
		"two pods may be listed for as long as Kubernetes has yet to hear of the open selector",
		"two routings",
		[]told{{"settle", 0, 0}, {"overwrite", 0, 0}, {"narrow", 0, 0}, {"hear", 2, 0}, {"begin", 2, 1}, {"route", 0, 0}, {"settle", 0, 0}},
	},
	{
		zoneSetLate, "a replica remembers for a day that a node has no zone; one that is started anew writes the zone",
		"all nodes have a zone",
		"by EndpointSlice",
		[]told{{"zone", 1, 2}, {"settle", 0, 0}, {"zone", 1, 0}, {"settle", 0, 0}},
	},
	{
		othersJoin, "a Service that joins an election, or is changed, so that it does not select the holder takes its endpoint from the others",
		"such a holder need not be listed",
		"Services that share a Lease",
		[]told{{"narrow", 1, 0}, {"settle", 0, 0}, {"narrow", 0, 1}, {"settle", 0, 0}},
	},
	{
		cordonedAndBehind, "a move away from a cordoned node is confirmed by reading nodes alone; it goes to a pod that is ready in the cache, though it is gone",
		"such a move may go to a pod that could not be master",
		"by selector",
		[]told{
			{"settle", 0, 0}, {"delete", 3, 0}, {"cordon", 0, 0}, {"cordon", 0, 0}, {"cordon", 1, 0}, {"hear", 2, 0}, {"begin", 2, 0}, {"finish", 2, 0}, {"settle", 0, 0},
		},
	},
	{
		narrowerMember, "two elections write the identity label of a pod in turns, for ever, if only some Services of the one select it",
		"where there are other elections, the Services of one select the same",
		"a Service that narrows, beside two that share a Lease",
		[]told{{"narrow", 0, 0}, {"settle", 0, 0}},
	},
	{
		policyStays, "a Service stays open to all pods as long as a policy lets none of them be labelled",
		"policies end before anything comes to rest",
		"by selector",
		[]told{{"deny", 0, 0}, {"deny", 0, 1}, {"deny", 0, 2}, {"settle", 0, 0}},
	},
}

// told is a step by the name of its verb.
type told struct {
	verb string
	a, b int
}

func TestKnownFaults(t *testing.T) {
	for _, known := range knownFaults {
		t.Run(string(known.name), func(t *testing.T) {
			p := profiles[slices.IndexFunc(profiles, func(p profile) bool { return p.name == known.profile })]
			var steps []step
			for _, told := range known.history {
				steps = append(steps, step{verbNamed(told.verb), told.a, told.b})
			}
			m := mended{known.name: true}
			if r := replay(p, m, steps, false); r.failure == "" {
				t.Errorf("it no longer fails; take it off the list: %s\n\n\t%s", known.what, history(p, m, steps))
			}
			if r := replay(p, nil, steps, false); r.failure != "" {
				t.Errorf("it is not spared: %s\n\n\t%s", r.failure, history(p, nil, steps))
			}
		})
	}
}
