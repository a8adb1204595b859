package failover

import (
	"fmt"
	"io"
	"time"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// progress says after each run how it went and how long the rest will take.
type progress struct {
	io.Writer
	runs  int
	left  map[string]int           // rounds of runs to go, by scenario
	takes map[string]time.Duration // what the latest took, at first guessed
}

func newProgress(w io.Writer, scenarios []Scenario, runs int) *progress {
	p := &progress{Writer: w, runs: runs, left: map[string]int{}, takes: map[string]time.Duration{}}
	for _, s := range scenarios {
		p.left[s.Name] = runs * len(s.rounds())
		p.takes[s.Name] = 10 * time.Second
		if s.node {
			p.takes[s.Name] = 80 * time.Second
		}
	}
	return p
}

func (p *progress) outcome(s Scenario, run int, o results.Outcome) {
	after := ""
	if o.AfterDetection != nil {
		after = fmt.Sprintf(", %.0f ms after the decision", *o.AfterDetection)
	}
	p.say("%s, %s, run %d of %d: outage %.0f ms%s, %d of %d requests lost", s.Name, o.Routing, run, p.runs, o.OutageMS, after, o.Lost, o.Sent)
}

// done takes note that a round of runs is over.
func (p *progress) done(s Scenario, took time.Duration) {
	p.left[s.Name]--
	p.takes[s.Name] = (p.takes[s.Name] + took) / 2
	var left time.Duration
	for name, rounds := range p.left {
		left += time.Duration(rounds) * p.takes[name]
	}
	p.say("  took %s; about %s left", took.Round(time.Second), left.Round(time.Minute))
}

// say tells a line; that nobody hears it is no reason to stop.
func (p *progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p, format+"\n", args...)
}
