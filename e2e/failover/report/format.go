package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// setting formats a duration that was configured, not measured, such as 15ms or 1s.
func setting(ms float64) string { return time.Duration(ms * float64(time.Millisecond)).String() }

// perRun formats the mean of a count, with a decimal if it is below 10.
func perRun(total, runs int) string {
	mean := float64(total) / float64(runs)
	if mean >= 10 {
		return fmt.Sprintf("%.0f", mean)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", mean), ".0")
}

// step formats a time since the cause, in whole milliseconds.
func step(ms *float64) string {
	if ms == nil {
		return document.Nothing
	}
	return fmt.Sprintf("%.0f", *ms)
}

// kept says how long a kept-alive connection stayed with the old master.
func kept(r results.Result) string {
	switch {
	case r.KeptMS == nil:
		return document.Nothing
	case r.KeptToTheEnd == r.Runs:
		return "to the end"
	case r.KeptToTheEnd > 0:
		return fmt.Sprintf("%s (%d of %d to the end)", document.Duration(r.KeptMS.P50), r.KeptToTheEnd, r.Runs)
	}
	return document.Duration(r.KeptMS.P50)
}

// moved says how often the master moved, and why.
func moved(r results.Result) string {
	text := fmt.Sprint(r.Transitions)
	for i, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
		text += []string{": ", ", "}[min(i, 1)] + fmt.Sprintf("%d `%s`", r.Reasons[reason], reason)
	}
	return text
}

// named returns what a variant is called in a row.
func named(v results.Variant) string {
	return strings.Join(names(v), " ")
}

// names returns the parts of that name. A narrow column has them in lines of their own.
func names(v results.Variant) []string {
	switch {
	case v.Routing == results.Plain:
		return []string{"plain Service"}
	case v.Probe:
		return []string{"`" + v.Routing + "`", "with probes"}
	}
	return []string{"`" + v.Routing + "`"}
}
