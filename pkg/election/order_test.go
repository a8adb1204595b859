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
		"a pod that has not stopped answering comes before a node that is not drained": {
			better: pod("z", draining, revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", doubted, preferred, revision("new", time.Minute), answers, identified),
		},
		"a node that is not drained comes before a preferred pod": {
			better: pod("z", revision("old", 0), second, readyAfter(time.Minute)),
			worse:  pod("a", draining, preferred, revision("new", time.Minute), identified),
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
		"an eligible pod comes before one that is not": {
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
		t.Errorf("the best of no eligible pods is %v, want none", got)
	}
}
