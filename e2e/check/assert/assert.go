// Package assert ends a test when an error or a timeout shows that it has failed.
package assert

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Must ends the test if there is an error. Otherwise it returns the value.
func Must[T any](value T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

// Eventually waits until the condition returns nil, and ends the test if it does not
// within patience. It checks up to a thousand times, so that a suite with less
// patience checks more often.
func Eventually(tb testing.TB, patience time.Duration, what string, condition func() error) {
	tb.Helper()
	var last error
	err := wait.PollUntilContextTimeout(tb.Context(), patience/1000, patience, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	})
	if err != nil {
		tb.Fatalf("not within %s: %s: %v", patience, what, last)
	}
}
