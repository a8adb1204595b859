package controller

import (
	"slices"
	"strings"
	"testing"
)

// Each of these histories failed once.

func TestHistories(t *testing.T) {
	tests := map[string]struct {
		profile string
		history []told
	}{
		"a Service that joins an election with other pods takes no endpoint from the others": {
			"Services that share a Lease",
			[]told{{"narrow", 1, 0}, {"settle", 0, 0}, {"narrow", 0, 1}, {"settle", 0, 0}},
		},
		"two elections do not write the identity label of a pod in turns": {
			"a Service that narrows, beside two that share a Lease",
			[]told{{"narrow", 0, 0}, {"settle", 0, 0}},
		},
		"a Service that was overwritten migrates once Kubernetes has heard of that": {
			"two routings",
			[]told{{"settle", 0, 0}, {"overwrite", 0, 0}, {"narrow", 0, 0}, {"hear", 2, 0}, {"begin", 2, 1}, {"route", 0, 0}, {"settle", 0, 0}},
		},
		"of a selector that is left with the controller's key alone the candidates are those of the annotation": {
			"a Service that loses its selector",
			[]told{{"unselect", 0, 0}, {"narrow", 0, 1}, {"settle", 0, 0}, {"narrow", 0, 0}, {"settle", 0, 0}},
		},
		"a former master that was moved out of its Service stops before another follows though the Lease is deleted at the same time": {
			"after termination",
			[]told{{"begin", 2, 1}, {"finish", 2, 0}, {"lose", 0, 0}, {"label", 2, 1}, {"begin", 0, 0}, {"finish", 0, 0}, {"begin", 0, 0}, {"finish", 0, 0}},
		},
		"a Service is closed though a policy lets no pod be labelled": {
			"by selector", []told{{"deny", 0, 0}, {"deny", 0, 1}, {"deny", 0, 2}, {"settle", 1, 0}},
		},
		"a Service is closed though a policy lets no pod be labelled that passes for the master": {
			"a Lease that an application takes, with settings", []told{{"ready", 1, 0}, {"delete", 3, 0}, {"settle", 0, 0}, {"deny", 0, 2}, {"create", 2, 489}, {"settle", 1, 0}},
		},
		"a Service is closed though a policy lets the only candidate not record the epoch": {
			"Services that overlap in part, and observe",
			[]told{{"ready", 1, 0}, {"begin", 0, 2}, {"label", 0, 0}, {"settle", 0, 0}, {"observe", 1, 0}, {"delete", 3, 0}, {"settle", 0, 0}, {"observe", 1, 0}, {"hold", 1, 0}, {"deny", 0, 3}, {"label", 2, 1}, {"settle", 1, 0}},
		},
		"a former master keeps no designation for a Service that has opted out while its election goes on": {
			"Services that overlap in part, by label",
			[]told{{"mode", 1, 0}, {"narrow", 0, 0}, {"remove a node", 0, 0}, {"settle", 0, 0}, {"remove a node", 0, 0}, {"create", 0, 416}, {"lose", 0, 0}, {"narrow", 0, 0}, {"settle", 0, 0}},
		},
		"a master that a later Lease says is none is not restored from an old cache": {
			"Leases that an application takes",
			[]told{{"label", 1, 1}, {"kill", 2, 0}, {"settle", 0, 0}, {"lose", 0, 0}, {"die", 1, 0}, {"kill", 2, 0}, {"begin", 1, 1}, {"finish", 1, 0}, {"contend", 0, 0}, {"hear", 2, 1}, {"begin", 2, 0}, {"settle", 0, 0}},
		},
		"another pod is taken if a policy lets the first not be labelled": {
			"by selector", []told{{"deny", 0, 1}, {"settle", 1, 0}},
		},
		"an epoch has one holder though its Lease is deleted while another replica looks": {
			"a Service that is replaced",
			[]told{{"begin", 2, 1}, {"proceed", 2, 0}, {"proceed", 2, 0}, {"begin", 0, 1}, {"delete", 2, 0}, {"proceed", 2, 0}, {"finish", 0, 0}, {"lose", 0, 0}, {"finish", 2, 0}},
		},
		"the first epoch is 1 though another replica looks before there is anything": {
			"nobody is eligible yet",
			[]told{{"ready", 2, 0}, {"begin", 2, 1}, {"ready", 2, 0}, {"proceed", 2, 0}, {"proceed", 2, 0}, {"begin", 0, 1}, {"settle", 0, 0}, {"ready", 1, 0}, {"settle", 0, 0}},
		},
		"the selector is restored of a Service that loses all annotations with its slice": {
			"Services that share a Lease",
			[]told{{"settle", 0, 0}, {"mode", 1, 0}, {"delete", 2, 0}, {"settle", 0, 0}},
		},
		"the selector is restored of a Service that leaves others which are refused": {
			"Services that join and leave",
			[]told{{"mode", 1, 1}, {"kill", 0, 0}, {"share", 2, 2}, {"kill", 1, 0}, {"settle", 0, 0}, {"mode", 2, 0}, {"narrow", 2, 0}, {"delete", 1, 0}, {"settle", 0, 0}},
		},
		"the selector is restored of a Service that leaves others after a user has written it": {
			"Services that share a Lease",
			[]told{{"settle", 0, 0}, {"narrow", 1, 0}, {"unlist", 2, 0}, {"mode", 1, 0}, {"settle", 0, 0}},
		},
		"a Service that loses its selector while it migrates comes to rest": {
			"a Service that loses its selector",
			[]told{{"begin", 2, 0}, {"go wrong", 2, 0}, {"unselect", 0, 0}, {"proceed", 2, 0}, {"proceed", 2, 0}, {"begin", 2, 0}, {"finish", 2, 0}, {"unselect", 0, 0}, {"begin", 1, 1}, {"finish", 1, 0}, {"unselect", 0, 0}, {"settle", 0, 0}},
		},
		"the selector is restored of a Service that opts out by removing all annotations": {
			"opting out and in",
			[]told{{"settle", 0, 0}, {"mode", 0, 0}, {"settle", 0, 0}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := profiles[slices.IndexFunc(profiles, func(p profile) bool { return p.name == test.profile })]
			var steps []step
			for _, told := range test.history {
				steps = append(steps, step{verbNamed(told.verb), told.a, told.b})
			}
			if r := replay(p, nil, steps, false); r.failure != "" {
				t.Errorf("%s\n\n\t%s", r.failure, history(p, nil, steps))
			}
		})
	}
}

// The others are too long to be made up.

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
	if w.settle(false); w.failure != "" {
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
