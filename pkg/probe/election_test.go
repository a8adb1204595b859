package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// question is one to a pod, by its UID, asked and answered in milliseconds; one that
// was answered after 0 does not count.
type question struct {
	pod             types.UID
	asked, answered int
	good            bool
}

// pods are a, b and c, one of which, or none, is the master.
func pods(master types.UID) (targets []Target) {
	for i, uid := range []types.UID{"a", "b", "c"} {
		targets = append(targets, Target{Pod: uid, Address: fmt.Sprintf("10.0.0.%d", i), Probe: probeTCP, Master: uid == master})
	}
	return targets
}

// after is an election of the pods, of which a is the master, after some questions.
func after(questions []question) *election {
	e := &election{}
	e.adopt(pods("a"), start)
	for _, p := range e.pods {
		p.first, p.slow = at(99), 900*time.Millisecond
	}
	e.answered(questions)
	return e
}

func (e *election) answered(questions []question) {
	for _, q := range questions {
		p := e.pods[q.pod]
		p.last = at(q.asked)
		if q.answered > 0 {
			e.hear(p, at(q.asked), at(q.answered), answer(q.good))
		}
	}
}

// A standby that is to take over answers the same probe from the same place, now.
func TestElection(t *testing.T) {
	fine := []question{{"a", 100, 101, true}, {"b", 100, 101, true}, {"c", 100, 101, true}}
	for name, test := range map[string]struct {
		questions []question
		// master is who becomes that after 510 ms, if it is said, and then what is asked
		// from then on.
		master types.UID
		then   []question
		states map[types.UID]State
		// due is when each is asked next, in milliseconds.
		due map[types.UID]int
	}{
		"nobody has been asked": {
			states: map[types.UID]State{"a": Unknown, "b": Unknown, "c": Unknown},
			due:    map[types.UID]int{"a": 99, "b": 99, "c": 99},
		},
		"all answer: the standbys are asked more slowly": {
			questions: fine,
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1000, "c": 1000},
		},
		"the master fails once: the standbys are asked at once, and it is right after them": {
			questions: append(fine, question{"a", 300, 500, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 500, "c": 500},
		},
		"one of them answers what it was asked before: that says nothing": {
			questions: append(fine, question{"b", 499, 502, true}, question{"a", 300, 500, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 500, "c": 500},
		},
		"one of them answers, which says nothing yet: it is asked as often as the master while that is in doubt": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 700, "c": 500},
		},
		"one of them does not": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 700, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 700, "c": 500},
		},
		"one of them did, but does not any more": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"b", 700, 900, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 900, "c": 500},
		},
		"the master does not: it is suspected, and there is no hurry any more for who answers": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1400, "c": 500},
		},
		"it was asked in the same moment": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 501, 502, true}, question{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1401, "c": 500},
		},
		"it was asked before, although it was noticed after: both may be within reach again": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 502, 503, true}, question{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1402, "c": 500},
		},
		"the one that answered does not any more: it says nothing": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}, question{"b", 701, 901, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 901, "c": 500},
		},
		"it answers again: the master may, too": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}, question{"b", 701, 901, false}, question{"a", 701, 901, false}, question{"b", 902, 903, true}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 901, "b": 1802, "c": 500},
		},
		"it answers twice, the first time before the master was asked": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}, question{"b", 702, 703, true}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1602, "c": 500},
		},
		"one of them was asked since, but its answer does not count: it is asked soon again": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 0, false}, question{"a", 500, 700, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 700, "b": 700, "c": 500},
		},
		"a standby fails once: it is asked as often as the master": {
			questions: append(fine, question{"b", 1000, 1200, false}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1200, "c": 1000},
		},
		"a standby is suspected: it is asked slowly, also while the master fails": {
			questions: append(fine, question{"b", 300, 500, false}, question{"b", 500, 700, false}, question{"a", 500, 700, false}, question{"a", 700, 900, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 900, "b": 1400, "c": 700},
		},
		"also while the master is in doubt": {
			questions: append(fine, question{"b", 300, 500, false}, question{"b", 500, 700, false}, question{"a", 500, 700, false}),
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1400, "c": 700},
		},
		"a suspected standby answers again: it is asked as often as the master": {
			questions: append(fine, question{"b", 300, 500, false}, question{"b", 500, 700, false}, question{"b", 1400, 1401, true}),
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1600, "c": 1000},
		},
		"the master answers again: it is as if nothing had been": {
			questions: append(fine, question{"a", 300, 500, false}, question{"a", 500, 501, true}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 700, "b": 1000, "c": 1000},
		},
		"a suspected master answers again: it is as if nothing had been, too": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}, question{"a", 701, 702, true}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 901, "b": 1400, "c": 1000},
		},
		"and what was answered before does not count when it fails again": {
			questions: append(fine, question{"a", 300, 500, false}, question{"b", 500, 501, true}, question{"a", 501, 701, false}, question{"a", 701, 702, true}, question{"a", 901, 1101, false}, question{"a", 1101, 1301, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 1301, "b": 1101, "c": 1101},
		},
		"a pod that fails becomes the master: it begins anew, and is asked at once": {
			questions: append(fine, question{"b", 300, 500, false}, question{"c", 490, 501, true}),
			master:    "b",
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 510, "c": 1390},
		},
		"also a suspected one": {
			questions: append(fine, question{"b", 300, 500, false}, question{"b", 500, 509, false}),
			master:    "b",
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 510, "c": 1000},
		},
		"and is not suspected before it has answered": {
			questions: fine,
			master:    "b",
			then:      []question{{"b", 510, 710, false}, {"a", 710, 711, true}, {"b", 711, 911, false}, {"b", 911, 1111, false}},
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 910, "b": 1111, "c": 710},
		},
		"but then, and who has answered since counts": {
			questions: fine,
			master:    "b",
			then:      []question{{"b", 510, 511, true}, {"b", 710, 910, false}, {"a", 910, 911, true}, {"b", 911, 1111, false}},
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 1810, "b": 1111, "c": 910},
		},
		"a pod that is fine becomes the master of one that failed, which stays suspected": {
			questions: append(fine, question{"a", 300, 500, false}, question{"a", 501, 509, false}),
			master:    "b",
			then:      []question{{"b", 510, 511, true}, {"a", 1401, 1402, true}},
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 1601, "b": 710, "c": 1000},
		},
		"the master has never answered": {
			questions: []question{{"a", 100, 300, false}, {"b", 100, 101, true}},
			states:    map[types.UID]State{"a": Unknown, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 301, "b": 300, "c": 99},
		},
		"there is no master": {
			questions: append(fine, question{"b", 300, 500, false}),
			master:    "none",
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 500, "c": 1000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := after(test.questions)
			if test.master != "" {
				e.adopt(pods(test.master), at(510))
				e.answered(test.then)
			}
			states, due := map[types.UID]State{}, map[types.UID]int{}
			for uid, p := range e.pods {
				states[uid], due[uid] = e.state(p), int(e.due(p).Sub(start).Milliseconds())
			}
			if diff := cmp.Diff(test.states, states); diff != "" {
				t.Errorf("states (-want +got): %s", diff)
			}
			if diff := cmp.Diff(test.due, due); diff != "" {
				t.Errorf("asked next, in milliseconds (-want +got): %s", diff)
			}
		})
	}
}
