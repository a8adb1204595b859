package controller

import (
	"slices"
	"testing"
)

// fault is one that is known, and not mended yet.
type fault string

const (
	lastTrace         fault = "the last trace of an epoch"
	copiedMarks       fault = "copied marks"
	replaced          fault = "a Service that is replaced"
	refusedSetting    fault = "a safety setting of a refused Service"
	unreadableSetting fault = "a safety setting that cannot be read"
	zoneSetLate       fault = "a zone that is set late"
	cordonedAndBehind fault = "a node that is cordoned, and pods that are not heard of"
	forgedHolder      fault = "a forged holder"
	forgedEpochs      fault = "a forged epoch"
	forgedStamp       fault = "a forged stamp"
	forgedDemotion    fault = "a forged demotion"
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
		lastTrace, "an epoch that stands in the Lease alone is given out again if the Lease is deleted",
		"a Lease is deleted only when its Service has the same epoch, which stays until there is a Lease again",
		"by label",
		[]told{{"settle", 0, 0}, {"hold", 0, 2}, {"settle", 0, 0}, {"lose", 0, 0}, {"kill", 2, 0}, {"kill", 2, 0}, {"settle", 0, 0}},
	},
	{
		copiedMarks, "while there is no Lease, a pod that was created with the master's labels and annotations is taken for the master, in the same epoch",
		"no Lease is deleted while there is such a pod, and none is created while there is no Lease",
		"by selector",
		[]told{{"settle", 0, 0}, {"kill", 1, 0}, {"lose", 0, 0}, {"overwrite", 0, 1}, {"create", 0, 52}, {"settle", 0, 0}},
	},
	{
		replaced, "a Service that is deleted and created again begins a new election if the garbage collector takes the Lease meanwhile, though the master runs",
		"an election ends with its Lease",
		"Services that overlap",
		[]told{{"settle", 0, 0}, {"kill", 2, 0}, {"ready", 2, 0}, {"replace", 0, 0}, {"settle", 0, 0}},
	},
	{
		refusedSetting, "a typing error in the mode of the Service whose settings count switches off that nobody follows a master which may run",
		"no such Service gets one",
		"Services that share a Lease, after termination",
		[]told{{"settle", 0, 0}, {"mode", 0, 1}, {"ready", 2, 0}, {"settle", 0, 0}},
	},
	{
		unreadableSetting, "a handover that cannot be read is the default, which is the less safe one",
		"none is written",
		"Services that share a Lease, after termination",
		[]told{{"settle", 0, 0}, {"annotate", 0, 1}, {"ready", 2, 0}, {"settle", 0, 0}},
	},
	{
		zoneSetLate, "a replica remembers for a day that a node has no zone; one that is started anew writes the zone",
		"all nodes have a zone",
		"by EndpointSlice",
		[]told{{"zone", 1, 2}, {"settle", 0, 0}, {"zone", 1, 0}, {"settle", 0, 0}},
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
		forgedHolder, "who writes a holder and its UID into a Lease makes a master in the same epoch",
		"what is forged counts from then on",
		"Leases that are forged",
		[]told{{"settle", 0, 0}, {"forge", 0, 11}, {"settle", 0, 0}},
	},
	{
		forgedEpochs, "after the highest epoch they begin anew",
		"no epoch is forged that is so high",
		"Leases that are forged",
		[]told{{"settle", 0, 0}, {"forge", 0, 5}, {"ready", 2, 0}, {"settle", 0, 0}, {"ready", 2, 0}, {"ready", 3, 0}, {"settle", 0, 0}},
	},
	{
		forgedStamp, "a pod that is created with a stamp is believed, of whatever epoch",
		"none is",
		"by selector",
		[]told{{"delete", 1, 0}, {"settle", 0, 0}, {"create", 0, 966}, {"settle", 0, 0}, {"ready", 2, 0}, {"settle", 0, 0}},
	},
	{
		forgedDemotion, "a pod that is written into a Lease as demoted is deleted, though it never held the Lease",
		"none is",
		"Leases that are forged",
		[]told{{"settle", 0, 0}, {"forge", 0, 3}, {"settle", 0, 0}},
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
