// Package assert ends a test when what it needs does not come.
package assert

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Must ends the test on an error; else it returns the value.
func Must[T any](value T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

// Eventually waits until the condition returns nil. It looks up to a thousand times,
// so that a suite that expects things sooner looks more often.
func Eventually(tb testing.TB, patience time.Duration, what string, condition func() error) {
	tb.Helper()
	var last error
	err := wait.PollUntilContextTimeout(tb.Context(), patience/1000, patience, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	})
	if err != nil {
		tb.Fatalf("%s: not within %s: %v", what, patience, last)
	}
}
