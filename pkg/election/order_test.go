package election

import (
	"math"
	"testing"
	"time"
)

func TestOrder(t *testing.T) {
	doubted := func(c *Candidate) { c.doubted = true }
	second := func(c *Candidate) { c.Index = 1 }
	readyAfter := func(d time.Duration) func(*Candidate) { return func(c *Candidate) { c.ReadySince = start.Add(d) } }

	// In each case every later criterion speaks for the other pod.
	tests := map[string]struct {
		better, worse Candidate
		// beside are other candidates.
		beside []Candidate
	}{
		"a pod that has not stopped answering comes before a node that is not drained": {
			better: pod("z", draining, revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", doubted, preferred, revision("new", time.Minute), answers, identified),
		},
		"a node that is not drained comes before a higher priority": {
			better: pod("z", revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", draining, priority(1), preferred, revision("new", time.Minute), identified),
		},
		"a higher priority comes before a preferred pod": {
			better: pod("z", priority(1), revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", preferred, revision("new", time.Minute), identified),
		},
		"no priority comes before one below zero": {
			better: pod("z"),
			worse:  pod("a", priority(-1), preferred),
		},
		"the highest of all numbers comes before the lowest": {
			better: pod("z", priority(math.MaxInt64)),
			worse:  pod("a", priority(math.MinInt64)),
		},
		"a preferred pod comes before the newest revision": {
			better: pod("z", preferred, revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", revision("new", time.Minute), identified),
		},
		"the newest revision comes before a pod that answers": {
			better: pod("z", revision("new", time.Minute), second, readyAfter(time.Minute)),
			worse:  pod("a", revision("old", 0), answers, identified),
		},
		"a pod that answers comes before one that carries its identity label": {
			better: pod("z", answers, second, readyAfter(time.Minute)),
			worse:  pod("a", identified),
		},
		"a pod that carries its identity label comes before the first of a StatefulSet": {
			better: pod("z", identified, second, readyAfter(time.Minute)),
			worse:  pod("a"),
		},
		"the first of a StatefulSet comes before the longest Ready": {
			better: pod("z", readyAfter(time.Minute)),
			worse:  pod("a", second),
		},
		"the longest Ready comes before the first by name": {
			better: pod("z"),
			worse:  pod("a", readyAfter(time.Second)),
		},
		"the first by name comes before the others": {
			better: pod("a"),
			worse:  pod("b"),
		},
		"a pod that no rollout replaces comes before one of an older revision, of another workload": {
			better: pod("z", workload("slow", "1", 0), second),
			worse:  pod("a", workload("fast", "1", 0), answers, identified),
			beside: []Candidate{pod("b", workload("fast", "2", time.Minute), notReady)},
		},
		"a newer pod of another workload makes no revision an older one": {
			better: pod("a", workload("fast", "1", 0)),
			worse:  pod("b", workload("slow", "7", time.Minute)),
		},
		"a newer pod that has ended does not count against the newest of the others": {
			better: pod("z", revision("2", time.Minute)),
			worse:  pod("a", revision("1", 0), answers),
			beside: []Candidate{pod("b", revision("1", time.Hour), finished)},
		},
		"a newer pod that terminates, because a rollout is taken back, makes its revision no newest one": {
			better: pod("z", revision("1", 0)),
			worse:  pod("a", revision("2", -time.Minute), answers),
			beside: []Candidate{pod("b", revision("2", time.Hour), terminating)},
		},
		"a newer pod that the Services no longer select makes no revision an older one": {
			better: pod("z", revision("1", 0)),
			worse:  pod("a", revision("2", -time.Minute), answers),
			beside: []Candidate{pod("b", revision("2", time.Hour), unselected)},
		},
		"an eligible pod comes before one that is not": {
			better: pod("z"),
			worse:  pod("a", preferred, notReady),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, candidates := range [][]Candidate{append([]Candidate{test.better, test.worse}, test.beside...), append([]Candidate{test.worse, test.better}, test.beside...)} {
				if got := best(compareRevisions(candidates)); got.Name != test.better.Name {
					t.Errorf("best of %s and %s is %s, want %s", candidates[0].Name, candidates[1].Name, got.Name, test.better.Name)
				}
			}
		})
	}
	if got := best([]Candidate{pod("a", notReady)}); got != nil {
		t.Errorf("the best of no eligible pods is %v, want none", got)
	}
}
