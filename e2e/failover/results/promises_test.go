package results

import (
	"fmt"
	"testing"
)

func TestBroken(t *testing.T) {
	for _, v := range Variants {
		promises := v.Routing == Selector || v.Routing == EndpointSlice
		for _, test := range []struct {
			result Result
			want   bool
		}{
			{Result{Scenario: "switchover", Variant: v}, false},
			{Result{Scenario: "killed", Variant: v, Lost: 3}, false},
			{Result{Scenario: "switchover", Variant: v, Lost: 1}, promises},
			{Result{Scenario: "killed", Variant: v, OverlapMSMax: 1}, promises},
		} {
			t.Run(fmt.Sprintf("%s, %s: %d lost, an overlap of %.0f ms", v, test.result.Scenario, test.result.Lost, test.result.OverlapMSMax), func(t *testing.T) {
				kept := Result{Scenario: "switchover", Variant: selectors}
				if err := Broken([]Result{kept, test.result, kept}); (err != nil) != test.want {
					t.Errorf("error %v, want one: %t", err, test.want)
				}
			})
		}
	}
}
