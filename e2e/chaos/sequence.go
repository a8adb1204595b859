package chaos

import (
	"cmp"
	"slices"
	"time"
)

// input is what the judge is fed with: a version of an object, or a fault or an action.
type input struct {
	at time.Time
	// version is the object's resourceVersion. All kinds of objects count with one number,
	// because they are in one etcd. It is 0 for a fault or an action.
	version uint64
	feed    func(j *judge, at time.Time)
}

// sequence puts the inputs in the order in which the objects were written. The watches of
// the kinds deliver at different speeds.
type sequence struct {
	pending []input
	fed     uint64
	// late counts objects that came after a later one was taken.
	late int
}

func (s *sequence) add(i input) {
	if i.version > 0 && i.version < s.fed {
		s.late++
	}
	s.pending = append(s.pending, i)
}

// take removes and returns what came before a time, in order, and the objects that were
// written before.
func (s *sequence) take(before time.Time) (taken []input) {
	due := s.fed
	for _, i := range s.pending {
		if i.at.Before(before) {
			due = max(due, i.version)
		}
	}
	var objects, others, left []input
	for _, i := range s.pending {
		switch {
		case i.version > due, i.version == 0 && !i.at.Before(before):
			left = append(left, i)
		case i.version > 0:
			objects = append(objects, i)
		default:
			others = append(others, i)
		}
	}
	s.pending, s.fed = left, due
	slices.SortStableFunc(objects, func(a, b input) int { return cmp.Compare(a.version, b.version) })
	// An object was written before any later one was received.
	for n := len(objects) - 2; n >= 0; n-- {
		if later := objects[n+1].at; later.Before(objects[n].at) {
			objects[n].at = later
		}
	}
	taken = slices.Concat(others, objects)
	slices.SortStableFunc(taken, func(a, b input) int { return a.at.Compare(b.at) })
	return taken
}
