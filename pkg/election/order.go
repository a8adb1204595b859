package election

import (
	"cmp"
	"slices"
)

// compare is the order of candidates, the better one first: the first
// difference decides, and names always differ. newest is the revision that a
// rollout goes to.
func compare(a, b Candidate, newest string) int {
	return cmp.Or(
		// One that has stopped answering may be as it seems.
		trueFirst(!a.doubted, !b.doubted),
		// A pod on a node that is being drained would soon have to go again.
		trueFirst(!a.Draining, !b.Draining),
		trueFirst(a.Preferred, b.Preferred),
		// An old revision would be replaced later in the same rollout.
		trueFirst(a.Revision == newest, b.Revision == newest),
		// Not before the former, as a pod that has just become Ready has yet to be asked.
		trueFirst(a.Answers, b.Answers),
		trueFirst(a.Identified, b.Identified),
		// The longest Ready has proved itself the longest.
		a.ReadySince.Compare(b.ReadySince),
		cmp.Compare(a.Name, b.Name),
	)
}

// best is the first eligible candidate in order, nil if there is none.
func best(candidates []Candidate) *Candidate {
	eligible := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return c.Ineligible() != "" })
	if len(eligible) == 0 {
		return nil
	}
	newest := newestRevision(candidates)
	first := slices.MinFunc(eligible, func(a, b Candidate) int { return compare(a, b, newest) })
	return &first
}

// newestRevision is the revision of the pod, of at least one, that was created last. That is
// where a rollout goes, but for the rare pod that an old ReplicaSet replaces
// meanwhile; it costs nothing but an order that is less good.
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
