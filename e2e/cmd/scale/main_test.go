package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/scale"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

func TestParse(t *testing.T) {
	o, out, err := parse([]string{"-elections", "100,200/1", "-routings", "selector", "-parts", "rest,failover", "-failures", "20", "-runs", "1", "-out", "/tmp/x"})
	if err != nil {
		t.Fatal(err)
	}
	want := scale.Options{
		Loads: []results.Load{{Elections: 100, Namespaces: 10, Nodes: 10}, {Elections: 200, Namespaces: 1, Nodes: 10}}, Routings: []string{"selector"},
		Rest: true, Failures: []int{20}, Runs: 1, RestTime: o.RestTime, Patience: o.Patience,
	}
	if diff := cmp.Diff(want, o); diff != "" || out != "/tmp/x" {
		t.Errorf("%s (-want +got)\n%s", out, diff)
	}
}

func TestParts(t *testing.T) {
	tests := map[string]struct {
		parts          string
		loads, attacks bool
	}{
		"neighbours need no load":                   {parts: "neighbour", attacks: true},
		"a load needs no neighbours":                {parts: "opt-in", loads: true},
		"all attacks are measured if none is named": {parts: "opt-in,rest,restart,failover,neighbour", loads: true, attacks: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse([]string{"-parts", test.parts})
			if err != nil || len(o.Loads) > 0 != test.loads || len(o.Attacks) == len(scale.Attacks()) != test.attacks {
				t.Errorf("%d loads and %d attacks, %v", len(o.Loads), len(o.Attacks), err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"there is a run":        {[]string{"-runs", "0"}, "-runs is 0, must be 1 or more"},
		"a load is a number":    {[]string{"-elections", "x"}, `-elections: load "x": "x" must be a number from 1`},
		"a failure is a number": {[]string{"-failures", "x"}, `-failures: "x" must be a number from 1`},
		"a routing is known":    {[]string{"-routings", "label"}, `-routings: there is no "label"; there are selector, endpointslice`},
		"a part is known":       {[]string{"-parts", "failovers"}, `-parts: there is no "failovers"; there are opt-in, rest, restart, failover, neighbour`},
		"an attack is known":    {[]string{"-attacks", "x,burst"}, `-attacks: there is no "x"; there are probe-answers, long-selector, slow-probes, long-annotations, forbidden-namespace, idle-scrapers, flapping, invented-nodes, fast-probes, long-words, special-addresses, burst`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := parse(test.args); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
