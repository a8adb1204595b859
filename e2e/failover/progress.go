package failover

import (
	"fmt"
	"io"
	"time"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// progress reports after each run how it went and how long the rest will take. The
// duration of a round is a guess, corrected by how long earlier rounds took.
type progress struct {
	io.Writer
	runs       int
	left, past time.Duration // guesses, for the rounds to come and the rounds so far
	took       time.Duration // what the rounds so far really took
}

func newProgress(o Options) *progress {
	p := &progress{Writer: o.Progress, runs: o.Runs}
	rounds := 0
	for _, s := range o.Scenarios {
		for _, round := range s.rounds(s.variants(o.Variants)) {
			runs := o.Runs * max(1, len(o.KubeProxies))
			rounds += runs
			p.left += time.Duration(runs) * guess(s, round)
		}
	}
	p.say("%d failures and moves to measure, which takes about %s", rounds, p.left.Round(time.Minute))
	return p
}

// guess returns how long a round takes, from the wait for its pods until it is undone.
func guess(s Scenario, round []results.Variant) time.Duration {
	if !s.node {
		// Replacing pods that serve on takes longer.
		return 11*time.Second + time.Duration(s.preStop)*1500*time.Millisecond
	}
	longest := time.Duration(0)
	for _, v := range round {
		detection := 6 * time.Second // by the node's kernel
		switch {
		case v.Routing == results.Plain:
			detection = 50 * time.Second
		case v.Probe:
			detection = time.Second
		case s.frozen:
			detection = 22 * time.Second // by heartbeats
		}
		longest = max(longest, detection)
	}
	return longest + 50*time.Second // most of it until the node is up
}

func (p *progress) outcome(s Scenario, run int, o results.Outcome) {
	after := ""
	if o.AfterDetection != nil {
		after = fmt.Sprintf(", %.0f ms after the decision", *o.AfterDetection)
	}
	p.say("%s, %s, run %d of %d: outage %.0f ms%s, %d of %d requests lost", s.Name, o.Variant, run, p.runs, o.OutageMS, after, o.Lost, o.Sent)
}

// done records that a round is over.
func (p *progress) done(s Scenario, round []results.Variant, took time.Duration) {
	guessed := guess(s, round)
	p.left, p.past, p.took = p.left-guessed, p.past+guessed, p.took+took
	left := time.Duration(float64(p.left) * float64(p.took) / float64(p.past))
	p.say("  took %s; about %s left", took.Round(time.Second), left.Round(time.Minute))
}

// say writes a line. A failure to write is no reason to stop.
func (p *progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p, format+"\n", args...)
}
