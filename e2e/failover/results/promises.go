package results

import (
	"errors"
	"fmt"
)

// Broken says which of the promises a measurement breaks: but for label routing,
// no two masters answer, as clients on one node see it, and a planned switchover
// loses no request. Times are no promise.
func Broken(measured []Result) (broken error) {
	for _, r := range measured {
		if r.Routing == Plain || r.Routing == Label {
			continue
		}
		if r.OverlapMSMax > 0 {
			broken = errors.Join(broken, fmt.Errorf("%s, %s: two masters answered for %.0f ms", r.Scenario, r.Routing, r.OverlapMSMax))
		}
		if r.Scenario == "switchover" && r.Lost > 0 {
			broken = errors.Join(broken, fmt.Errorf("%s, %s: %d requests were lost", r.Scenario, r.Routing, r.Lost))
		}
	}
	return broken
}
