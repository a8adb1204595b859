package results

import (
	"errors"
	"fmt"
)

// Broken says which of the promises a measurement breaks: where one write moves
// the traffic, no two masters answer, as clients on one node see it, and a planned
// switchover loses no request. Times are no promise.
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

// atomic says whether one write carries a whole switch. A plain Service has no
// master, and routing label needs two writes.
func (v Variant) atomic() bool { return v.Routing != Plain && v.Routing != Label }
