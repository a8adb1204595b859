package election

import (
	"cmp"
	"slices"
)

// criteria are the order of candidates. The first in which two candidates differ decides, and
// names always differ. says tells users what the better one is.
var criteria = []struct {
	says    string
	compare func(a, b Candidate) int
}{
	// A pod that has stopped answering may have failed, even if that is doubted.
	{"has not stopped answering the controller's probe", func(a, b Candidate) int { return trueFirst(!a.doubted, !b.doubted) }},
	// A pod on a node that is being drained would soon have to go again.
	{"is on a node that is not cordoned", func(a, b Candidate) int { return trueFirst(!a.Draining, !b.Draining) }},
	// The application knows which pod would lose least.
	{"has the higher priority", func(a, b Candidate) int { return cmp.Compare(b.Priority, a.Priority) }},
	{"is preferred", func(a, b Candidate) int { return trueFirst(a.Preferred, b.Preferred) }},
	// An old revision would be replaced later in the same rollout.
	{"is of the newest revision", func(a, b Candidate) int { return trueFirst(!a.old, !b.old) }},
	// Checked after the revision: a pod that has just become Ready has not been probed yet.
	{"answers the controller's probe", func(a, b Candidate) int { return trueFirst(a.Answers, b.Answers) }},
	{"carries its identity label", func(a, b Candidate) int { return trueFirst(a.Identified, b.Identified) }},
	// Rollouts and scale-downs of a StatefulSet begin at the highest index.
	{"has the lower index in the StatefulSet", func(a, b Candidate) int { return cmp.Compare(a.Index, b.Index) }},
	// The pod that has been Ready longest has proved itself longest.
	{"has been Ready longer", func(a, b Candidate) int { return a.ReadySince.Compare(b.ReadySince) }},
	{"comes before it by name", func(a, b Candidate) int { return cmp.Compare(a.Name, b.Name) }},
}

// compare orders candidates, the better one first.
func compare(a, b Candidate) int {
	for _, c := range criteria {
		if order := c.compare(a, b); order != 0 {
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
	first := slices.MinFunc(eligible, compare)
	return &first
}

// compareRevisions returns the candidates with old set. A rollout of a workload goes to the
// revision of its newest pod, unless an old ReplicaSet has just replaced a pod. Then the order
// is less good, and nothing else is lost. A pod that has ended, such as one of a Job, or that
// terminates shows nothing.
func compareRevisions(candidates []Candidate) []Candidate {
	candidates = slices.Clone(candidates)
	newest := map[string]Candidate{}
	for _, c := range candidates {
		if best, found := newest[c.Workload]; !c.Unselected && c.live() && (!found || c.Created.After(best.Created)) {
			newest[c.Workload] = c
		}
	}
	for i, c := range candidates {
		best, found := newest[c.Workload]
		candidates[i].old = found && c.Revision != best.Revision
	}
	return candidates
}

// live reports whether the pod has not ended and is not terminating.
func (c Candidate) live() bool { return !c.Finished && !c.Terminating }

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
