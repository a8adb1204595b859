package heartbeat

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is the time that many seconds after the start.
func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// renewal returns a Lease that was renewed in that second, by a clock that is an hour fast.
func renewal(seconds float64) coordinationv1.LeaseSpec {
	return coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NewMicroTime(at(seconds + 3600)))}
}

// beats are the seconds in which a node renews: every 10 s from first to until, and from
// again on.
type beats struct{ first, until, again float64 }

func (b beats) renews(second float64) bool {
	if second < b.first || second > b.until && second < b.again {
		return false
	}
	offset := second - b.first
	if second >= b.again {
		offset = second - b.again
	}
	return offset == float64(int(offset)/10*10)
}

func TestSilent(t *testing.T) {
	const never = 1e9
	alive := func(first float64) beats { return beats{first, never, never} }
	for name, test := range map[string]struct {
		nodes map[string]beats
		// want has the second, up to 120, in which each node is found silent first. A
		// node that never is has none.
		want map[string]float64
	}{
		"nodes that renew are not silent": {
			nodes: map[string]beats{"a": alive(0), "b": alive(4), "c": alive(9)},
		},
		"one of three nodes is silent 25 s after its last renewal": {
			nodes: map[string]beats{"a": {3, 33, never}, "b": alive(0), "c": alive(9)},
			want:  map[string]float64{"a": 59},
		},
		"one of two nodes is silent 25 s after its last renewal": {
			nodes: map[string]beats{"a": {3, 33, never}, "b": alive(0)},
			want:  map[string]float64{"a": 59},
		},
		"a node that is alone is not silent: it cannot be told from the API server": {
			nodes: map[string]beats{"a": {3, 33, never}},
		},
		"a node that never renewed is not silent": {
			nodes: map[string]beats{"a": {never, never, never}, "b": alive(0), "c": alive(2)},
		},
		"a node that never renewed is no witness for another": {
			nodes: map[string]beats{"a": {never, never, never}, "b": {3, 33, never}},
		},
		"a node that died before is no witness against another": {
			nodes: map[string]beats{"a": {3, 13, never}, "b": {4, 54, never}, "c": alive(0)},
			want:  map[string]float64{"a": 39, "b": 80},
		},
		"all are cut off for 13 s, and one comes back late: it is not silent": {
			nodes: map[string]beats{"a": {0, 30, 60}, "b": {9, 39, 52}},
		},
		"two of five nodes are silent": {
			nodes: map[string]beats{"a": {3, 33, never}, "b": {5, 35, never}, "c": alive(0), "d": alive(1), "e": alive(2)},
			want:  map[string]float64{"a": 59, "b": 61},
		},
		"all stop for a minute, and one comes back 9 s after the first: it is not silent": {
			nodes: map[string]beats{"a": {3, 33, 101}, "b": {0, 30, 92}, "c": {9, 39, 93}},
		},
		"all stop for less than the timeout: the node that renewed longest ago is not silent": {
			nodes: map[string]beats{"a": {0, 30, 59}, "b": {9, 39, 56}, "c": {8, 38, 57}},
		},
		"all stop, and one does not come back: it is silent 25 s after the others do": {
			nodes: map[string]beats{"a": {3, 33, never}, "b": {0, 30, 62}, "c": {9, 39, 63}},
			want:  map[string]float64{"a": 88},
		},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := map[string]*node{}
			for name := range test.nodes {
				nodes[name] = &node{}
			}
			w := watcher{looked: start}
			silent := map[string]float64{}
			for second := 0.0; second <= 120; second++ {
				for name, beats := range test.nodes {
					if beats.renews(second) {
						nodes[name].heard(renewal(second), at(second))
					}
				}
				for _, name := range w.suspects(nodes, 25*time.Second, at(second)) {
					nodes[name].dead = true
					if _, known := silent[name]; !known {
						silent[name] = second
					}
				}
			}
			for node := range test.nodes {
				if silent[node] != test.want[node] {
					t.Errorf("%s is silent from second %v on, want %v (0: never)", node, silent[node], test.want[node])
				}
			}
		})
	}
}

func TestHeard(t *testing.T) {
	n := node{}
	n.heard(renewal(1), at(1))
	n.heard(renewal(1), at(20))
	if !n.renewed.Equal(at(1)) {
		t.Errorf("renewed at %s, although the Lease was the same", n.renewed.Sub(start))
	}
	n.heard(coordinationv1.LeaseSpec{}, at(21))
	if !n.renewed.Equal(at(1)) {
		t.Errorf("renewed at %s, although the Lease has no time", n.renewed.Sub(start))
	}
	n.dead = true
	if n.heard(renewal(1), at(22)) || !n.dead {
		t.Error("the node lives again, although nothing new was heard")
	}
	if !n.heard(renewal(0), at(23)) || n.dead {
		t.Error("the node does not live again, although it renewed with a clock that was set back")
	}
	slow := renewal(30)
	slow.LeaseDurationSeconds = ptr.To[int32](160)
	n.heard(slow, at(30))
	w := watcher{telling: start}
	if w.silent(&n, 25*time.Second, at(130)) {
		t.Error("silent after 100 s, although its kubelet renews every 40 s")
	}
	if !w.silent(&n, 25*time.Second, at(131)) {
		t.Error("not silent after two and a half of its intervals")
	}
}

// A process that was suspended has heard no node meanwhile, and blames none.
func TestSuspended(t *testing.T) {
	nodes := map[string]*node{"a": {}, "b": {}, "c": {}}
	w := watcher{looked: start}
	for _, n := range nodes {
		n.heard(renewal(0), start)
	}
	w.suspects(nodes, 25*time.Second, at(1))
	// The renewals have come in meanwhile, and a's has yet to be read.
	nodes["b"].heard(renewal(58), at(60))
	nodes["c"].heard(renewal(59), at(60))
	if suspects := w.suspects(nodes, 25*time.Second, at(60)); len(suspects) > 0 {
		t.Errorf("%v are silent", suspects)
	}
}
