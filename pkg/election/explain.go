package election

import (
	"cmp"
	"fmt"
	"slices"
)

// Verdict is what users can be told of a candidate.
type Verdict struct {
	Candidate
	// Why is why the candidate is not eligible; empty if it is.
	Why Reason
	// Rank is the candidate's place in the order of the eligible ones, from 1; 0 if it is not
	// eligible.
	Rank int
	// Ahead is why the candidate before this one is better, such as "has been Ready longer";
	// empty for the first.
	Ahead string
}

// Explain returns a Verdict for each candidate: first the eligible ones in their order, then
// the others by name. As decisions do, it doubts the probes if no pod answers them.
func Explain(view View) []Verdict {
	s := newSituation(view)
	newest := ""
	if len(s.Candidates) > 0 {
		newest = newestRevision(s.Candidates)
	}
	var verdicts []Verdict
	for _, c := range s.Candidates {
		verdicts = append(verdicts, Verdict{Candidate: c, Why: c.Ineligible()})
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int {
		switch {
		case a.Why == "" && b.Why == "":
			return compare(a.Candidate, b.Candidate, newest)
		case a.Why != "" && b.Why != "":
			return cmp.Compare(a.Name, b.Name)
		default:
			return trueFirst(a.Why == "", b.Why == "")
		}
	})
	for i := range verdicts {
		if verdicts[i].Why != "" {
			break
		}
		verdicts[i].Rank = i + 1
		if i > 0 {
			verdicts[i].Ahead = ahead(verdicts[i-1].Candidate, verdicts[i].Candidate, newest)
		}
	}
	return verdicts
}

func ahead(better, worse Candidate, newest string) string {
	for _, c := range criteria {
		if c.compare(better, worse, newest) != 0 {
			return c.says
		}
	}
	return ""
}

// Of returns a sentence about the pod if the reason is why a pod is not eligible, and
// otherwise the reason itself.
func (r Reason) Of(pod string) string {
	if sentence, known := ineligible[r]; known {
		return fmt.Sprintf(sentence, pod)
	}
	return string(r)
}
