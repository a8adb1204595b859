package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/failover"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

func TestParse(t *testing.T) {
	type parsed struct {
		Runs      int
		Scenarios []string
		Routings  []string
	}
	all := parsed{Runs: 10, Scenarios: names(failover.Scenarios, scenarioName), Routings: names(results.Variants, results.Variant.String)}
	for name, test := range map[string]struct {
		args []string
		want parsed
	}{
		"everything is measured by default":                  {nil, all},
		"empty arguments, as make passes, mean the defaults": {[]string{"-runs", "10", "-scenarios", "", "-routings", ""}, all},
		"what is asked for is measured in that order and once": {
			[]string{"-runs", "1", "-scenarios", "switchover,not-ready,switchover", "-routings", "endpointslice+probe,plain,endpointslice+probe"},
			parsed{1, []string{"switchover", "not-ready"}, []string{"endpointslice+probe", "plain"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(test.args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, parsed{o.Runs, names(o.Scenarios, scenarioName), names(o.Variants, results.Variant.String)}); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no runs are refused":            {[]string{"-runs", "0"}, "-runs is 0, must be 1 or more"},
		"an unknown scenario is refused": {[]string{"-scenarios", "killed,shot"}, `there is no scenario "shot"; there are not-ready, killed, hung, `},
		"an unknown routing is refused": {
			[]string{"-routings", "plain,slices"},
			`there is no routing "slices"; there are plain, selector, label, endpointslice, selector+probe, endpointslice+probe`,
		},
		"the name of an object is refused as a routing":  {[]string{"-routings", "selector-probe"}, `there is no routing "selector-probe"; `},
		"a planned move of the plain Service is refused": {[]string{"-scenarios", "switchover", "-routings", "plain"}, "there is nothing to measure: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(test.args); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want one that begins with\n%s", err, test.want)
			}
		})
	}
}
