// Package quantile computes quantiles of what was measured.
package quantile

import "math"

// Of returns a value that was measured (nearest rank), none between two of them. The
// values must be sorted, and there must be one or more.
func Of[T any](sorted []T, q float64) T {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
