package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// step is one thing that happens: a verb, and of what. It means the same in every run
// that has come to the same world.
type step struct{ verb, a, b int }

// verbNamed returns the place of a verb.
func verbNamed(name string) int {
	return slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
}

func (s step) String() string { return fmt.Sprintf("{%q, %d, %d}", verbs[s.verb].name, s.a, s.b) }

// run is a world and the steps that led to it.
type run struct {
	*world
	steps []step
}

// do takes a step, and remembers it if it has changed something. A panic of the
// controller is a failure, too.
func (r *run) do(s step) {
	defer func() {
		if p := recover(); p != nil {
			r.fail("panic: %v", p)
			r.steps = append(r.steps, s)
		}
	}()
	if verbs[s.verb].do(r.world, s.a, s.b) || r.failure != "" {
		r.steps = append(r.steps, s)
	}
}

// close ends what the replicas are about to do.
func (r *run) close() {
	for _, replica := range r.replicas {
		replica.die()
	}
}

// play makes up steps, with a rest after each so many, until something fails.
func play(p profile, m mended, seed uint64, steps int) *run {
	// Few things between two rests find what nobody looks at again; many, what comes of races.
	untilRest := []int{10, 80, 20, 40}[seed%4]
	random := rand.New(rand.NewPCG(seed, 0))
	r := &run{world: newWorld(p, m)}
	defer r.close()
	weights := make([]int, len(verbs))
	total := 0
	for i, v := range verbs {
		weights[i] = v.weight
		if weight, other := p.weights[v.name]; other {
			weights[i] = weight
		}
		total += weights[i]
	}
	for n := 1; n <= steps && r.failure == ""; n++ {
		s := step{verbNamed("settle"), 0, 0}
		if n%(4*untilRest) == 0 {
			s.a = 1
		}
		if n%untilRest != 0 && n != steps {
			s = step{0, random.IntN(1 << 10), random.IntN(1 << 10)}
			for at := random.IntN(total); at >= weights[s.verb]; s.verb++ {
				at -= weights[s.verb]
			}
		}
		r.do(s)
	}
	return r
}

// replay takes the steps, as far as the first failure.
func replay(p profile, m mended, steps []step, telling bool) *run {
	r := &run{world: newWorld(p, m)}
	defer r.close()
	r.telling = telling
	if telling {
		r.told = append(r.state(), "")
	}
	for _, s := range steps {
		if r.do(s); r.failure != "" {
			break
		}
	}
	return r
}

// shrink leaves out steps, ever fewer at a time, for as long as what is left fails in the
// same way; and then makes the numbers of the others small.
func shrink(p profile, m mended, steps []step, failure string) []step {
	fails := func(steps []step) ([]step, bool) {
		r := replay(p, m, steps, false)
		return r.steps, kind(r.failure) == kind(failure)
	}
	for size := max(1, len(steps)/2); size > 0; {
		before := len(steps)
		for at := 0; at < len(steps); {
			if left, still := fails(slices.Delete(slices.Clone(steps), at, min(at+size, len(steps)))); still {
				steps = left
			} else {
				at += size
			}
		}
		if size > 1 || len(steps) == before {
			size /= 2
		}
	}
	for i := range steps {
		for _, plain := range []func(s *step, n int){func(s *step, n int) { s.a = n }, func(s *step, n int) { s.b = n }} {
			for n := range 12 {
				plainer := slices.Clone(steps)
				if plain(&plainer[i], n); plainer[i] == steps[i] {
					break
				}
				if left, still := fails(plainer); still && len(left) == len(steps) {
					steps = plainer
					break
				}
			}
		}
	}
	return steps
}

// kind is a failure without what may differ between two histories of the same.
func kind(failure string) string {
	words := strings.FieldsFunc(failure, func(r rune) bool { return r == ' ' || r == ':' })
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return strings.ContainsAny(word, ".-0123456789[]") }), " ")
}

// history is what happens in the steps, in lines for people.
func history(p profile, m mended, steps []step) string {
	r := replay(p, m, steps, true)
	text := strings.Join(r.told, "\n\t") + "\n\nin the end:\n\t" + strings.Join(r.state(), "\n\t") + "\n\nsteps:\n"
	for _, s := range steps {
		text += "\t" + s.String() + ",\n"
	}
	return text
}
