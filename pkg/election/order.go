package election

import (
	"cmp"
	"slices"
)

// criteria are the order of candidates. The first in which two candidates differ decides, and
// names always differ. says tells users what the better one is; newest is the revision that a
// rollout goes to.
var criteria = []struct {
	says    string
	compare func(a, b Candidate, newest string) int
}{
	// A pod that has stopped answering may have failed, even if that is doubted.
	{"has not stopped answering the controller's probe", func(a, b Candidate, _ string) int { return trueFirst(!a.doubted, !b.doubted) }},
	// A pod on a node that is being drained would soon have to go again.
	{"is on a node that is not cordoned", func(a, b Candidate, _ string) int { return trueFirst(!a.Draining, !b.Draining) }},
	{"is preferred", func(a, b Candidate, _ string) int { return trueFirst(a.Preferred, b.Preferred) }},
	// An old revision would be replaced later in the same rollout.
	{"is of the newest revision", func(a, b Candidate, newest string) int { return trueFirst(a.Revision == newest, b.Revision == newest) }},
	// Checked after the revision: a pod that has just become Ready has not been probed yet.
	{"answers the controller's probe", func(a, b Candidate, _ string) int { return trueFirst(a.Answers, b.Answers) }},
	{"carries its identity label", func(a, b Candidate, _ string) int { return trueFirst(a.Identified, b.Identified) }},
	// Rollouts and scale-downs of a StatefulSet begin at the highest index.
	{"has the lower index in the StatefulSet", func(a, b Candidate, _ string) int { return cmp.Compare(a.Index, b.Index) }},
	// The pod that has been Ready longest has proved itself longest.
	{"has been Ready longer", func(a, b Candidate, _ string) int { return a.ReadySince.Compare(b.ReadySince) }},
	{"is first by name", func(a, b Candidate, _ string) int { return cmp.Compare(a.Name, b.Name) }},
}

// compare orders candidates, the better one first.
func compare(a, b Candidate, newest string) int {
	for _, c := range criteria {
		if order := c.compare(a, b, newest); order != 0 {
			return order
		}
	}
	return 0
}

// best returns the first eligible candidate in order; nil if there is none.
func best(candidates []Candidate) *Candidate {
	eligible := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return c.Ineligible() != "" })
	if len(eligible) == 0 {
		return nil
	}
	newest := newestRevision(candidates)
	first := slices.MinFunc(eligible, func(a, b Candidate) int { return compare(a, b, newest) })
	return &first
}

// newestRevision returns the revision of the pod that was created last, of at least one pod.
// A rollout goes there, unless an old ReplicaSet has just replaced a pod. Then the order is
// less good, and nothing else is lost.
func newestRevision(candidates []Candidate) string {
	return slices.MaxFunc(candidates, func(a, b Candidate) int { return a.Created.Compare(b.Created) }).Revision
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}
