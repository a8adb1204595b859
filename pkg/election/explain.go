package election

import (
	"cmp"
	"fmt"
	"slices"
)

// Verdict is what there is to say of a candidate, for people.
type Verdict struct {
	Candidate
	// Why it is not eligible; empty if it is.
	Why Reason
	// Rank is its place in the order of the eligible ones, from 1; 0 if it is none.
	Rank int
	// Ahead says what the one before it is and it is not, such as "has been Ready
	// longer"; empty for the first.
	Ahead string
}

// Explain says of each candidate whether it is eligible, those that are in their order
// and then the others by name. As decisions do, it doubts probes that nobody answers.
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

// Of says in a sentence that this is so of the pod, for a reason why a pod is not
// eligible; and otherwise the reason itself.
func (r Reason) Of(pod string) string {
	if sentence, known := ineligible[r]; known {
		return fmt.Sprintf(sentence, pod)
	}
	return string(r)
}
