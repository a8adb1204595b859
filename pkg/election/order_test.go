package election

import (
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
	}{
		"one that has not stopped answering before a node that is not drained": {
			better: pod("z", draining, revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", doubted, preferred, revision("new", time.Minute), answers, identified),
		},
		"a node that is not drained before a preferred pod": {
			better: pod("z", revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", draining, preferred, revision("new", time.Minute), identified),
		},
		"a preferred pod before the newest revision": {
			better: pod("z", preferred, revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", revision("new", time.Minute), identified),
		},
		"the newest revision before one that answers": {
			better: pod("z", revision("new", time.Minute), second, readyAfter(time.Minute)),
			worse:  pod("a", revision("old", 0), answers, identified),
		},
		"one that answers before one that carries its identity label": {
			better: pod("z", answers, second, readyAfter(time.Minute)),
			worse:  pod("a", identified),
		},
		"one that carries its identity label before the first of a StatefulSet": {
			better: pod("z", identified, second, readyAfter(time.Minute)),
			worse:  pod("a"),
		},
		"the first of a StatefulSet before the longest Ready": {
			better: pod("z", readyAfter(time.Minute)),
			worse:  pod("a", second),
		},
		"the longest Ready before the first by name": {
			better: pod("z"),
			worse:  pod("a", readyAfter(time.Second)),
		},
		"the first by name": {
			better: pod("a"),
			worse:  pod("b"),
		},
		"only among the eligible": {
			better: pod("z"),
			worse:  pod("a", preferred, notReady),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, candidates := range [][]Candidate{{test.better, test.worse}, {test.worse, test.better}} {
				if got := best(candidates); got.Name != test.better.Name {
					t.Errorf("best of %s and %s is %s, want %s", candidates[0].Name, candidates[1].Name, got.Name, test.better.Name)
				}
			}
		})
	}
	if got := best([]Candidate{pod("a", notReady)}); got != nil {
		t.Errorf("best of nobody eligible is %v, want none", got)
	}
}
