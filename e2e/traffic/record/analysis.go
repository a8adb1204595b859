package record

import (
	"slices"
	"time"
)

// Lost returns the requests without a good answer.
func Lost(requests []Request) []Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool { return r.Error == "" })
}

// Answered returns the requests that were sent after the first good answer had
// arrived. Earlier ones may overtake each other while a name is being resolved, so
// that it is unknown whether they should have been answered. Without any good answer
// it returns all requests.
func Answered(requests []Request) []Request {
	var since time.Time
	for _, r := range requests {
		if r.Error == "" && (since.IsZero() || r.Done.Before(since)) {
			since = r.Done
		}
	}
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool { return r.Sent.Before(since) })
}

// Stints returns the servers that answered, in turns. The requests must be in the
// order of sending. A request that was sent before the next server's first answer
// arrived may have been routed earlier, so its answer does not begin a new turn.
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
