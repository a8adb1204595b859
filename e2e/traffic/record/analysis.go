package record

import (
	"slices"
	"time"
)

// Lost are the requests without an answer.
func Lost(requests []Request) []Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool { return r.Error == "" })
}

// Answered are the requests that were sent once there was an answer. Of those
// before, which may overtake each other while a name is resolved, nobody can say
// that they should have been answered. If there never was one, they are all.
func Answered(requests []Request) []Request {
	var since time.Time
	for _, r := range requests {
		if r.Error == "" && (since.IsZero() || r.Done.Before(since)) {
			since = r.Done
		}
	}
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool { return r.Sent.Before(since) })
}

// Stints are who answered, in turns, of requests in the order in which they were
// sent. One that was sent before the next one's first answer was there may have
// been routed before, so that its answer is no turn of its own.
func Stints(requests []Request) (stints []Answer) {
	var since time.Time
	for _, r := range requests {
		n := len(stints)
		switch {
		case r.Error != "" || n > 0 && r.Answer == stints[n-1]:
		case n > 1 && r.Answer == stints[n-2] && r.Sent.Before(since):
		default:
			stints = append(stints, r.Answer)
			since = r.Done
		}
	}
	return stints
}
