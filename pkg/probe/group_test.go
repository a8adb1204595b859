package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// exchange is a question to a pod, by its UID. It is asked and answered at a time in
// milliseconds. If answered is 0, the answer does not count. If it is not good and
// answered is the end of the timeout, the pod has not answered.
type exchange struct {
	pod             types.UID
	asked, answered int
	good            bool
}

// pods returns the targets a, b and c. The master is the one of that UID, if any.
func pods(master types.UID) (targets []Target) {
	for i, uid := range []types.UID{"a", "b", "c"} {
		targets = append(targets, Target{Pod: uid, Address: fmt.Sprintf("10.0.0.%d", i), Probe: probeTCP, Master: uid == master})
	}
	return targets
}

// after returns a group of the pods with a as the master, after some questions.
func after(questions []exchange) *group {
	g := &group{}
	g.adopt(pods("a"), start)
	for _, p := range g.pods {
		p.first, p.slow = at(99), 900*time.Millisecond
	}
	g.answered(questions)
	return g
}

// answered lets the pods answer questions.
func (g *group) answered(exchanges []exchange) {
	for _, e := range exchanges {
		p, q := g.pods[e.pod], &question{asked: at(e.asked)}
		p.last = q.asked
		p.ask(q)
		switch {
		case e.answered == 0:
			p.drop(q)
		case !e.good && e.answered == e.asked+int(probeTCP.Timeout.Milliseconds()):
			g.look(p, at(e.answered))
		default:
			g.hear(p, q, at(e.answered), answer(e.good))
		}
	}
}

// While the master fails, a standby counts only if it answers the same probe from the same
// place now.
func TestGroup(t *testing.T) {
	fine := []exchange{{"a", 100, 101, true}, {"b", 100, 101, true}, {"c", 100, 101, true}}
	for name, test := range map[string]struct {
		questions []exchange
		// master is the pod that becomes the master after 510 ms, if any, and then are the
		// questions from then on.
		master types.UID
		then   []exchange
		states map[types.UID]State
		// due is when each pod is asked next, in milliseconds.
		due map[types.UID]int
	}{
		"no pod has been asked": {
			states: map[types.UID]State{"a": Unknown, "b": Unknown, "c": Unknown},
			due:    map[types.UID]int{"a": 99, "b": 99, "c": 99},
		},
		"all answer: the standbys are asked less often": {
			questions: fine,
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1000, "c": 1000},
		},
		"the master fails once: the standbys are asked at once, and the master right after them": {
			questions: append(fine, exchange{"a", 300, 500, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 500, "c": 500},
		},
		"a standby answers what it was asked before the master failed: that confirms nothing": {
			questions: append(fine, exchange{"b", 499, 502, true}, exchange{"a", 300, 500, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 500, "c": 500},
		},
		"a standby answers after the master failed once: it is Unknown, and asked as often as the master, while the master is in doubt": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 700, "c": 500},
		},
		"a standby fails after the master failed once": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 700, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 700, "c": 500},
		},
		"a standby answers after the master failed once, and then fails itself": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"b", 700, 900, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 501, "b": 900, "c": 500},
		},
		"the master fails after a standby answered: it is suspected, and the standby is no longer asked in a hurry": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1400, "c": 500},
		},
		"a standby was asked in the same moment as the master: that confirms": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 501, 502, true}, exchange{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1401, "c": 500},
		},
		"the master was asked before the standby, and its failure was noticed later: both may be within reach again": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 502, 503, true}, exchange{"a", 501, 701, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1402, "c": 500},
		},
		"a standby that confirmed fails: it no longer confirms": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"b", 701, 901, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 901, "c": 500},
		},
		"a standby that confirmed fails and answers again: the master may answer again, too": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"b", 701, 901, false}, exchange{"a", 701, 901, false}, exchange{"b", 902, 903, true}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 901, "b": 1802, "c": 500},
		},
		"a standby answers late: that confirms nothing": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"a", 501, 701, false}, exchange{"b", 500, 750, true}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 700, "c": 500},
		},
		"a standby answers twice, the first time asked before the master: that confirms": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"b", 702, 703, true}),
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1602, "c": 500},
		},
		"a standby's answer since the failure does not count: the standby is asked again soon": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 0, false}, exchange{"a", 500, 700, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 700, "b": 700, "c": 500},
		},
		"a standby fails once: it is asked as often as the master": {
			questions: append(fine, exchange{"b", 1000, 1200, false}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1200, "c": 1000},
		},
		"a standby is suspected: it is asked slowly while the master fails": {
			questions: append(fine, exchange{"b", 300, 500, false}, exchange{"b", 500, 700, false}, exchange{"a", 500, 700, false}, exchange{"a", 700, 900, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 900, "b": 1400, "c": 700},
		},
		"a standby is suspected: it is asked slowly while the master is in doubt": {
			questions: append(fine, exchange{"b", 300, 500, false}, exchange{"b", 500, 700, false}, exchange{"a", 500, 700, false}),
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 701, "b": 1400, "c": 700},
		},
		"a suspected standby answers again: it is asked as often as the master": {
			questions: append(fine, exchange{"b", 300, 500, false}, exchange{"b", 500, 700, false}, exchange{"b", 1400, 1401, true}),
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Answering},
			due:       map[types.UID]int{"a": 300, "b": 1600, "c": 1000},
		},
		"the master answers again after one failure: it is as if nothing had happened": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"a", 500, 501, true}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 700, "b": 1000, "c": 1000},
		},
		"a suspected master answers again: it is as if nothing had happened": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"a", 701, 702, true}),
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 901, "b": 1400, "c": 1000},
		},
		"the master fails again after a recovery: what a standby answered before does not count": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"a", 701, 702, true}, exchange{"a", 901, 1101, false}, exchange{"a", 1101, 1301, false}, exchange{"a", 1301, 1501, false}, exchange{"a", 1501, 1710, false}),
			states:    map[types.UID]State{"a": Suspected, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 1701, "b": 1101, "c": 1101},
		},
		"the master was silent for 402 ms lately: it is not suspected as soon": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"b", 500, 501, true}, exchange{"a", 501, 701, false}, exchange{"a", 701, 702, true}, exchange{"a", 901, 1101, false}, exchange{"a", 1101, 1301, false}),
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 1301, "b": 1101, "c": 1101},
		},
		"a pod that fails becomes the master: it begins anew, and is asked at once": {
			questions: append(fine, exchange{"b", 300, 500, false}, exchange{"c", 490, 501, true}),
			master:    "b",
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 510, "c": 1390},
		},
		"a suspected pod becomes the master: it begins anew, and is asked at once": {
			questions: append(fine, exchange{"b", 300, 500, false}, exchange{"b", 500, 509, false}),
			master:    "b",
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 510, "c": 1000},
		},
		"a new master that has not answered is not suspected": {
			questions: fine,
			master:    "b",
			then:      []exchange{{"b", 510, 710, false}, {"a", 710, 711, true}, {"b", 711, 911, false}, {"b", 911, 1111, false}},
			states:    map[types.UID]State{"a": Answering, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 910, "b": 1111, "c": 710},
		},
		"a new master that has answered is suspected, and a pod that has answered since its failure counts": {
			questions: fine,
			master:    "b",
			then:      []exchange{{"b", 510, 511, true}, {"b", 710, 910, false}, {"a", 910, 911, true}, {"b", 911, 1111, false}},
			states:    map[types.UID]State{"a": Answering, "b": Suspected, "c": Unknown},
			due:       map[types.UID]int{"a": 1810, "b": 1111, "c": 910},
		},
		"a pod that is fine becomes the master: the former master, which failed, stays suspected": {
			questions: append(fine, exchange{"a", 300, 500, false}, exchange{"a", 501, 509, false}),
			master:    "b",
			then:      []exchange{{"b", 510, 511, true}, {"a", 1401, 1402, true}},
			states:    map[types.UID]State{"a": Suspected, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 1601, "b": 710, "c": 1000},
		},
		"the master has never answered": {
			questions: []exchange{{"a", 100, 300, false}, {"b", 100, 101, true}},
			states:    map[types.UID]State{"a": Unknown, "b": Unknown, "c": Unknown},
			due:       map[types.UID]int{"a": 301, "b": 300, "c": 99},
		},
		"there is no master": {
			questions: append(fine, exchange{"b", 300, 500, false}),
			master:    "none",
			states:    map[types.UID]State{"a": Answering, "b": Answering, "c": Answering},
			due:       map[types.UID]int{"a": 1000, "b": 500, "c": 1000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := after(test.questions)
			if test.master != "" {
				g.adopt(pods(test.master), at(510))
				g.answered(test.then)
			}
			states, due := map[types.UID]State{}, map[types.UID]int{}
			for uid, p := range g.pods {
				states[uid], due[uid] = g.state(p), int(g.due(p).Sub(start).Milliseconds())
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
