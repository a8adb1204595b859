package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// second counts the requests that a client sent within a second.
type second struct {
	start    time.Time
	answered map[string]int // by pod
	lost     int
}

// count counts requests by the second in which they were sent. Seconds without a
// request are left out.
func count(requests []record.Request) (seconds []second) {
	for _, r := range requests {
		start := r.Sent.Truncate(time.Second)
		i, found := slices.BinarySearchFunc(seconds, start, func(s second, at time.Time) int { return s.start.Compare(at) })
		if !found {
			seconds = slices.Insert(seconds, i, second{start: start, answered: map[string]int{}})
		}
		if r.Error != "" {
			seconds[i].lost++
		} else {
			seconds[i].answered[r.Pod]++
		}
	}
	return seconds
}

// only returns the pod that answered all requests of a second, or nothing.
func (s second) only() string {
	if s.lost > 0 || len(s.answered) != 1 {
		return ""
	}
	for pod := range s.answered {
		return pod
	}
	return ""
}

// header is the head of the table that row continues.
func header(pods []string) string {
	return fmt.Sprintf("%-8s", "") + cells(func(i int) string { return pods[i] }, len(pods)) + fmt.Sprintf("  %6s", "lost")
}

func (s second) row(pods []string) string {
	number := func(n int) string {
		if n == 0 {
			return "."
		}
		return fmt.Sprint(n)
	}
	return s.start.Format(time.TimeOnly) + cells(func(i int) string { return number(s.answered[pods[i]]) }, len(pods)) + fmt.Sprintf("  %6s", number(s.lost))
}

func cells(text func(int) string, n int) string {
	var line strings.Builder
	for i := range n {
		fmt.Fprintf(&line, "  %6s", text(i))
	}
	return line.String()
}

// silence returns the longest time between two answers, in the order in which they
// arrived, and how many requests were lost.
func silence(requests []record.Request) (longest time.Duration, lost int) {
	var arrived []time.Time
	for _, r := range requests {
		if r.Error != "" {
			lost++
			continue
		}
		arrived = append(arrived, r.Done)
	}
	slices.SortFunc(arrived, time.Time.Compare)
	for i := 1; i < len(arrived); i++ {
		longest = max(longest, arrived[i].Sub(arrived[i-1]))
	}
	return longest, lost
}
