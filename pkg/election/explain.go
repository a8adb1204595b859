package election

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
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
	// NoFailback is why the master has not moved to this pod, which is preferred or has a higher
	// priority, and is not the master; empty for any other pod, and while the master is not eligible.
	NoFailback string
}

// Explain returns a Verdict for each candidate: first the eligible ones in their order, then
// the others by name. As decisions do, it doubts the probes if no pod answers them.
func Explain(view View) []Verdict {
	s := newSituation(view)
	var verdicts []Verdict
	for _, c := range s.Candidates {
		verdicts = append(verdicts, Verdict{Candidate: c, Why: c.Ineligible(), NoFailback: s.noFailback(c)})
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int {
		switch {
		case a.Why == "" && b.Why == "":
			return compare(a.Candidate, b.Candidate)
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
			verdicts[i].Ahead = ahead(verdicts[i-1].Candidate, verdicts[i].Candidate)
		}
	}
	return verdicts
}

// noFailback returns why the master has not moved to the pod.
func (s situation) noFailback(c Candidate) string {
	if s.incumbent == nil || !c.claims(s.incumbent) || s.incumbent.UID == c.UID || s.incumbent.Ineligible() != "" {
		return ""
	}
	bar := bars(c, s.incumbent)
	switch {
	case bar != "":
		return bar
	case s.Settings.Failback == nil:
		return "the Service asks for no failback (" + api.AnnotationFailback + ")"
	case s.Settings.Paused:
		return "the election is paused (" + api.AnnotationPaused + ")"
	}
	wait := s.untilBack(c)
	if wait > 0 && c.Priority > s.incumbent.Priority {
		return fmt.Sprintf("a higher priority must last for %s without a break, as the controller has seen it (%s)", max(*s.Settings.Failback, failbackPause), api.AnnotationFailback)
	}
	if wait > 0 {
		return fmt.Sprintf("the time has not come, in %s at the earliest (%s)", wait.Round(time.Second), api.AnnotationFailback)
	}
	return ""
}

func ahead(better, worse Candidate) string {
	for _, c := range criteria {
		if c.compare(better, worse) != 0 {
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
