package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// sent returns requests, ten a second from second to second. Each is answered by the
// pod 5 ms later or, without a pod, lost.
func sent(from, to int, pod string) (requests []record.Request) {
	for at := from * 10; at < to*10; at++ {
		r := record.Request{Sent: time.Unix(0, 0).UTC().Add(time.Duration(at) * 100 * time.Millisecond), Answer: record.Answer{Pod: pod}}
		r.Done = r.Sent.Add(5 * time.Millisecond)
		if pod == "" {
			r.Error = "no answer"
		}
		requests = append(requests, r)
	}
	return requests
}

func TestRates(t *testing.T) {
	requests := append(append(sent(0, 1, "web-0"), sent(1, 2, "")...), sent(2, 4, "web-2")...)
	requests[12].Error, requests[12].Pod = "", "web-2"
	pods := []string{"web-0", "web-1", "web-2"}
	got := []string{header(pods)}
	var only []string
	for _, s := range count(requests) {
		got, only = append(got, s.row(pods)), append(only, s.only())
	}
	want := []string{
		"           web-0   web-1   web-2    lost",
		"00:00:00      10       .       .       .",
		"00:00:01       .       .       1       9",
		"00:00:02       .       .      10       .",
		"00:00:03       .       .      10       .",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"web-0", "", "web-2", "web-2"}, only); diff != "" {
		t.Errorf("the only pod that answered: -want +got\n%s", diff)
	}
	if longest, lost := silence(requests); longest != 800*time.Millisecond || lost != 9 {
		t.Errorf("no answer for %v and %d lost, want 800ms and 9", longest, lost)
	}
}
