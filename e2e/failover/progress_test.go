package failover

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

func TestProgress(t *testing.T) {
	var out strings.Builder
	short, node := Scenario{Name: "killed"}, Scenario{Name: "node-off", node: true}
	o := Options{Runs: 2, Scenarios: []Scenario{short, node}, Variants: []results.Variant{plain, sliceProbe}, Progress: &out}
	p := newProgress(o)
	p.outcome(short, 1, results.Outcome{Variant: sliceProbe, Run: results.Run{OutageMS: 90, Lost: 4}, Sent: 300, AfterDetection: ptr.To(60.0)})
	p.done(short, []results.Variant{sliceProbe}, 22*time.Second)
	p.done(short, []results.Variant{plain}, 22*time.Second)
	p.done(short, []results.Variant{plain}, 22*time.Second)
	p.done(short, []results.Variant{sliceProbe}, 22*time.Second)
	p.done(node, []results.Variant{plain, sliceProbe}, 100*time.Second)
	p.done(node, []results.Variant{plain, sliceProbe}, 100*time.Second)
	want := []string{
		"6 failures and moves to measure, which takes about 4m0s",
		"killed, endpointslice+probe, run 1 of 2: outage 90 ms, 60 ms after the decision, 4 of 300 requests lost",
		"  took 22s; about 8m0s left",
		"  took 22s; about 7m0s left",
		"  took 22s; about 7m0s left",
		"  took 22s; about 7m0s left",
		"  took 1m40s; about 2m0s left",
		"  took 1m40s; about 0s left",
		"",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\n")); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

// The guesses are right before anything has been measured.
func TestGuess(t *testing.T) {
	for name, test := range map[string]struct {
		scenario Scenario
		round    []results.Variant
		want     time.Duration
	}{
		"a pod fails":                     {Scenario{}, []results.Variant{selector}, 11 * time.Second},
		"a pod that is deleted serves on": {Scenario{preStop: 2}, []results.Variant{selector}, 14 * time.Second},
		"Kubernetes detects that a node fails, after the others": {Scenario{node: true}, []results.Variant{plain, selector, selectorProbe}, 100 * time.Second},
		"the node's kernel tells that it fails, after probes":    {Scenario{node: true}, []results.Variant{sliceProbe, label}, 56 * time.Second},
		"heartbeats detect that a node is frozen, after probes":  {Scenario{node: true, frozen: true}, []results.Variant{sliceProbe, label}, 72 * time.Second},
		"probes detect that a node fails":                        {Scenario{node: true}, []results.Variant{sliceProbe}, 51 * time.Second},
	} {
		if got := guess(test.scenario, test.round); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
