package controller

import (
	"slices"
	"strings"
	"testing"
)

// Histories that are too long to be made up: each failed once.

// toldWorld is a world in which a test tells what happens.
type toldWorld struct{ *world }

func inProfile(name string) toldWorld {
	w := newWorld(profiles[slices.IndexFunc(profiles, func(p profile) bool { return p.name == name })], nil)
	w.telling = true
	return toldWorld{w}
}

func (w toldWorld) do(t *testing.T, verb string, a, b int) {
	t.Helper()
	if !verbs[verbNamed(verb)].do(w.world, a, b) {
		t.Fatalf("%s %d %d changes nothing after\n%s", verb, a, b, strings.Join(w.told, "\n"))
	}
}

// look lets a replica do all that is due, but for what it does not hear of.
func (w toldWorld) look(number int, deafTo string) {
	r := w.replicas[number]
	for range 5 {
		for _, c := range r.caches {
			for _, name := range c.unheard() {
				if c.kind() != deafTo {
					r.hearOf(c, name)
				}
			}
		}
		if r.begin(0) {
			r.finish()
		}
	}
}

func (w toldWorld) kubernetesFollows() {
	for w.platform.hearOfService("a") {
	}
	for _, name := range w.podNames() {
		w.platformHearsOfPod(name)
	}
	w.publish("a")
}

func (w toldWorld) expectWell(t *testing.T) {
	t.Helper()
	if w.settle(); w.failure != "" {
		t.Errorf("%s\n%s", w.failure, strings.Join(w.told, "\n"))
	}
}

// The master moves there and back, and its Service migrates, before Kubernetes has heard of
// the first move: what it lists looks as if it had followed.
func TestThereAndBackWhileKubernetesIsLate(t *testing.T) {
	w := inProfile("two routings")
	w.do(t, "settle", 0, 0)
	for _, pod := range []int{2, 1} {
		w.do(t, "hold", 0, pod)
		w.look(0, "")
	}
	w.do(t, "route", 0, 0)
	w.look(0, "")
	for w.platform.hearOfService("a") {
		w.publish("a")
		w.look(0, "")
	}
	w.expectWell(t)
}

// A replica that has not heard of EndpointSlices moves the master of a Service that migrates
// away from them.
func TestSlicesThatAReplicaHasNotHeardOf(t *testing.T) {
	w := inProfile("two routings")
	w.do(t, "settle", 0, 0)
	w.do(t, "route", 0, 0)
	for range 4 {
		w.look(0, "")
		w.kubernetesFollows()
	}
	w.do(t, "route", 0, 1)
	w.look(0, "")
	w.do(t, "ready", 2, 0)
	w.look(2, w.slices.kind)
	w.kubernetesFollows()
	w.expectWell(t)
}
