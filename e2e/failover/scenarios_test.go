package failover

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

var (
	plain         = results.Variant{Routing: results.Plain}
	selector      = results.Variant{Routing: results.Selector}
	label         = results.Variant{Routing: results.Label}
	endpointSlice = results.Variant{Routing: results.EndpointSlice}
	selectorProbe = results.Variant{Routing: results.Selector, Probe: true}
	sliceProbe    = results.Variant{Routing: results.EndpointSlice, Probe: true}
)

func TestRounds(t *testing.T) {
	for name, test := range map[string]struct {
		scenario Scenario
		asked    []results.Variant
		want     []string
	}{
		"variants are measured one after the other": {
			asked: results.Variants,
			want:  []string{"[plain]", "[selector]", "[label]", "[endpointslice]", "[selector+probe]", "[endpointslice+probe]"},
		},
		"the plain Service is not measured where nothing fails": {
			scenario: Scenario{planned: true},
			asked:    []results.Variant{plain, label},
			want:     []string{"[label]"},
		},
		"a node takes several variants with it, one for each way of detection": {
			scenario: Scenario{node: true},
			asked:    results.Variants,
			want:     []string{"[plain selector selector+probe]", "[label endpointslice+probe]", "[endpointslice]"},
		},
		"variants that are not asked for are not measured": {
			scenario: Scenario{node: true},
			asked:    []results.Variant{selectorProbe, sliceProbe, endpointSlice},
			want:     []string{"[selector+probe endpointslice]", "[endpointslice+probe]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, round := range test.scenario.rounds(test.scenario.variants(test.asked)) {
				got = append(got, fmt.Sprint(round))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	planned, other := Scenario{planned: true}, Scenario{}
	for name, test := range map[string]struct {
		options Options
		refused bool
	}{
		"everything can be measured":                                    {options: Options{Scenarios: Scenarios, Variants: results.Variants}},
		"the plain Service alone where nothing fails is refused":        {options: Options{Scenarios: []Scenario{planned}, Variants: []results.Variant{plain}}, refused: true},
		"the plain Service where something fails, too, can be measured": {options: Options{Scenarios: []Scenario{planned, other}, Variants: []results.Variant{plain}}},
		"another variant where nothing fails can be measured":           {options: Options{Scenarios: []Scenario{planned}, Variants: []results.Variant{plain, label}}},
		"no scenario is refused":                                        {options: Options{Variants: results.Variants}, refused: true},
		"no routing is refused":                                         {options: Options{Scenarios: Scenarios}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.options.Validate(); (err != nil) != test.refused {
				t.Errorf("error %v, want one: %t", err, test.refused)
			}
		})
	}
}

func TestEveryScenarioIsExplained(t *testing.T) {
	for _, s := range Scenarios {
		if Why[s.Name] == "" {
			t.Errorf("Why does not explain the figures of %s", s.Name)
		}
	}
}
