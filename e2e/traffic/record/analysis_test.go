package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each request is a pod, when it was sent and when it was done.
func TestStints(t *testing.T) {
	type request struct {
		pod        string
		sent, done int
	}
	tests := map[string]struct {
		requests []request
		want     string
	}{
		"no request is no stint":     {},
		"one server is one stint":    {[]request{{"a", 0, 1}, {"a", 2, 3}}, "a"},
		"two servers are two stints": {[]request{{"a", 0, 1}, {"b", 2, 3}, {"b", 4, 5}}, "a b"},
		"a late answer of a request in flight at the switch does not count": {[]request{{"a", 0, 1}, {"b", 2, 4}, {"a", 3, 5}, {"b", 6, 7}}, "a b"},
		"the old server that answers again has a stint of its own":          {[]request{{"a", 0, 1}, {"b", 2, 3}, {"a", 4, 5}, {"b", 6, 7}}, "a b a b"},
		"a lost request does not end a stint":                               {[]request{{"a", 0, 1}, {"", 2, 3}, {"a", 4, 5}}, "a"},
		"a switch and a switch back are three stints":                       {[]request{{"a", 0, 1}, {"b", 2, 3}, {"a", 9, 10}}, "a b a"},
		"a third server begins a stint even in flight":                      {[]request{{"a", 0, 1}, {"b", 2, 5}, {"c", 3, 4}}, "a b c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var requests []Request
			for _, r := range test.requests {
				request := Request{Sent: time.Unix(int64(r.sent), 0), Done: time.Unix(int64(r.done), 0), Answer: Answer{Pod: r.pod}}
				if r.pod == "" {
					request.Error = "lost"
				}
				requests = append(requests, request)
			}
			var got []string
			for _, stint := range Stints(requests) {
				got = append(got, stint.Pod)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestAnswered(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	overtaken := Request{Sent: at(0), Done: at(5)}
	refused := Request{Sent: at(1), Done: at(2), Error: "refused"}
	lost := Request{Sent: at(5), Done: at(6), Error: "refused"}
	answered := Request{Sent: at(7), Done: at(8)}
	if diff := cmp.Diff([]Request{lost, answered}, Answered([]Request{overtaken, refused, lost, answered})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]Request{refused, lost}, Answered([]Request{refused, lost})); diff != "" {
		t.Errorf("without any answer: -want +got:\n%s", diff)
	}
}

func TestLost(t *testing.T) {
	if got := Lost([]Request{{}, {Error: "refused"}, {}}); len(got) != 1 || got[0].Error != "refused" {
		t.Errorf("lost are %v", got)
	}
}
