package controller

import (
	"slices"
	"testing"
)

// fault is one that is known, and not mended yet.
type fault string

// mended are the faults that actors no longer spare the controller.
type mended map[fault]bool

// knownFaults is what the simulation spares the controller, so that it finds what is not
// known. Who mends one takes it off the list, and its name out of whatever asks for it. There is
// none now.
var knownFaults = []struct {
	name fault
	what string
	// spared is what the simulation does about it.
	spared string
	// profile and history are a run that fails, if nothing is spared.
	profile string
	history []told
}{}

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
