package gitops

import (
	"errors"
	"fmt"
	"slices"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// longest is for how many milliseconds a Service may be open where nothing keeps it closed: until
// the controller has written the Service and Kubernetes has followed.
const longest = 5000

// broken returns what docs/gitops.md promises and the cell does not keep.
func (c Cell) broken() (broken []string) {
	t, f := tool(c.Tool), form(c.Form)
	kept := c.Policy || f.Static
	reverted := slices.Contains(c.Warnings, api.ReasonSelectorReverted)
	for _, p := range []struct {
		broken bool
		text   string
	}{
		{c.Failed != "", "it failed: " + c.Failed},
		{kept && c.Newborn > 0, fmt.Sprintf("it was born open, for %.0f ms", c.Newborn)},
		{c.Newborn > longest, fmt.Sprintf("it was born open, for %.0f ms", c.Newborn)},
		{(kept || t.Merges) && c.Open > 0, fmt.Sprintf("it was open for %.0f ms", c.Open)},
		{c.Open > longest, fmt.Sprintf("it was open for %.0f ms", c.Open)},
		{(kept || t.Merges) && c.Closed > 0, fmt.Sprintf("it had no endpoint for %.0f ms", c.Closed)},
		{(kept || t.Merges) && len(c.Warnings) > 0, fmt.Sprintf("there were Warnings: %v", c.Warnings)},
		{c.Open > 0 && !reverted, "it was open, and no event said so"},
		{c.Drift && (f.Static || t.Merges || c.Policy && !t.ByKey), "it showed a difference"},
	} {
		if p.broken {
			broken = append(broken, p.text)
		}
	}
	return broken
}

// blind returns an error if no cell was open. Without the policy a Service is open for a moment, so
// that the watch would have overlooked it.
func (r Results) blind() error {
	for _, seen := range []func(Cell) bool{
		func(c Cell) bool { return !c.Policy && c.Newborn > 0 }, func(c Cell) bool { return !c.Policy && c.Open > 0 },
	} {
		if !slices.ContainsFunc(r.Cells, seen) {
			return errors.New("no Service was open even without the policy: the watch saw nothing")
		}
	}
	return nil
}
