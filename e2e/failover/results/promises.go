package results

import (
	"errors"
	"fmt"
)

// Broken returns an error for each promise that a measurement breaks, and nil if it
// breaks none. There are two promises, where one write moves the traffic: clients on
// one node never see two masters answer, and a planned switchover loses no request.
// Durations are not promised.
func Broken(measured []Result) (broken error) {
	for _, r := range measured {
		if !r.Variant.atomic() {
			continue
		}
		if r.OverlapMSMax > 0 {
			broken = errors.Join(broken, fmt.Errorf("%s, %s: two masters answered for %.0f ms", r.Scenario, r.Variant, r.OverlapMSMax))
		}
		if r.Scenario == "switchover" && r.Lost > 0 {
			broken = errors.Join(broken, fmt.Errorf("%s, %s: %d requests were lost", r.Scenario, r.Variant, r.Lost))
		}
	}
	return broken
}

// atomic reports whether one write carries a whole switch. A plain Service has no
// master, and routing label needs two writes.
func (v Variant) atomic() bool { return v.Routing != Plain && v.Routing != Label }
