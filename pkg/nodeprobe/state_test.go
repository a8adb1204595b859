package nodeprobe

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rounds plays rounds of questions, one a second, with a timeout of 5 s. Each node has a letter for
// each round: "+" it answers, "o" its sign of
// life is old, "-" it misses the question, "." it is not asked. The letters of the
// process are "!" if the round takes too long, and "z" if the process was suspended for a minute
// before the round. It returns the number of the round, from 1 on, in which each node is a suspect
// first.
func rounds(t *testing.T, process string, nodes map[string]string) map[string]int {
	t.Helper()
	d := detector{timeout: 5 * time.Second, nodes: map[string]*node{}}
	suspected := map[string]int{}
	for name := range nodes {
		d.nodes[name] = &node{}
	}
	began := start
	for i := range strings.Split(nodes["a"], "") {
		ended := began.Add(850 * time.Millisecond)
		switch letter(process, i) {
		case '!':
			ended = began.Add(interval + slack + time.Millisecond)
		case 'z':
			began = began.Add(time.Minute)
			ended = ended.Add(time.Minute)
		}
		replies := map[string]reply{}
		for name, letters := range nodes {
			switch letter(letters, i) {
			case '+':
				replies[name] = reply{answered, began}
			case 'o':
				replies[name] = reply{answered, began.Add(-1200 * time.Millisecond)}
			case '-':
				replies[name] = reply{answer: missed}
			default:
				replies[name] = reply{}
			}
		}
		suspects, _ := d.round(began, ended, replies)
		for _, name := range suspects {
			if suspected[name] == 0 {
				suspected[name] = i + 1
			}
			d.judge(name, time.Time{})
		}
		began = began.Add(interval)
		if letter(process, i) == '!' {
			began = began.Add(interval)
		}
	}
	return suspected
}

func letter(letters string, i int) byte {
	if i >= len(letters) {
		return ' '
	}
	return letters[i]
}

func TestSuspects(t *testing.T) {
	for name, test := range map[string]struct {
		process string
		nodes   map[string]string
		want    map[string]int
	}{
		"nodes that answer are not suspected": {nodes: map[string]string{"a": "++++++++++", "b": "++++++++++", "c": "++++++++++"}},
		"a node is suspected once nothing came of it for 5 s": {
			nodes: map[string]string{"a": "++--------", "b": "++++++++++", "c": "++++++++++"}, want: map[string]int{"a": 7},
		},
		"one of two nodes is suspected": {
			nodes: map[string]string{"a": "++--------", "b": "++++++++++"}, want: map[string]int{"a": 7},
		},
		"a node that stands still for 3 s is not suspected":         {nodes: map[string]string{"a": "++---+++++", "b": "++++++++++", "c": "++++++++++"}},
		"a node that answers one question in four is not suspected": {nodes: map[string]string{"a": "++---+---+---+---+", "b": "++++++++++++++++++", "c": "++++++++++++++++++"}},
		"a node that is alone is not suspected":                     {nodes: map[string]string{"a": "++----------"}},
		"a node that never answered is not suspected":               {nodes: map[string]string{"a": "------------", "b": "++++++++++++"}},
		"a node that never answered is no witness":                  {nodes: map[string]string{"a": "++----------", "b": "------------"}},
		"all nodes are silent, so that none is suspected":           {nodes: map[string]string{"a": "++----------", "b": "++----------", "c": "++----------"}},
		"most of the others are silent, so that none is suspected": {
			nodes: map[string]string{"a": "++----------", "b": "++----------", "c": "++++++++++++"},
		},
		"two of five nodes are suspected": {
			nodes: map[string]string{"a": "++--------", "b": "+++-------", "c": "++++++++++", "d": "++++++++++", "e": "++++++++++"}, want: map[string]int{"a": 7, "b": 8},
		},
		"a node that died before is no witness against another": {
			nodes: map[string]string{"a": "+--------------", "b": "++++++++-------", "c": "+++++++++++++++"}, want: map[string]int{"a": 6, "b": 13},
		},
		"the count begins anew when the network comes back": {
			nodes: map[string]string{"a": "++------------", "b": "++---+++++++++", "c": "++---+++++++++"}, want: map[string]int{"a": 10},
		},
		"all are silent, and one comes back 4 s after the others": {
			nodes: map[string]string{"a": "++---------+++", "b": "++-----+++++++", "c": "++-----+++++++"},
		},
		"rounds that take too long count for nothing": {
			process: "  !!!!!!!!", nodes: map[string]string{"a": "++--------", "b": "++++++++++", "c": "++++++++++"},
		},
		"a node that answers in a round that took too long lives": {
			process: "      !   ", nodes: map[string]string{"a": "++----+---", "b": "++++++++++", "c": "++++++++++"},
		},
		"the count begins anew after the process was suspended": {
			process: "     z        ", nodes: map[string]string{"a": "++------------", "b": "++++++++++++++", "c": "++++++++++++++"}, want: map[string]int{"a": 11},
		},
		"nodes that never answered do not outweigh one that does": {
			nodes: map[string]string{"a": "++--------", "b": "++++++++++", "c": "----------", "d": "----------"}, want: map[string]int{"a": 7},
		},
		"others must have given a sign of life near the end of the silence": {
			nodes: map[string]string{"a": "++--------", "b": "++++++oooo", "c": "++++++oooo"}, want: map[string]int{"a": 8},
		},
		"a node that was not asked is not suspected": {
			nodes: map[string]string{"a": "++.........", "b": "+++++++++++", "c": "+++++++++++"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want == nil {
				test.want = map[string]int{}
			}
			if diff := cmp.Diff(test.want, rounds(t, test.process, test.nodes)); diff != "" {
				t.Errorf("suspects by round (-want +got):\n%s", diff)
			}
		})
	}
}

// A heartbeat that came during the silence says that the node lives. It says so until the node answers again.
func TestJudge(t *testing.T) {
	alive := start
	for name, test := range map[string]struct {
		node    node
		renewed time.Time
		want    node
		news    bool
	}{
		"a node without heartbeats is dead": {
			node: node{known: true, missing: true, alive: alive}, want: node{known: true, missing: true, alive: alive, dead: true}, news: true,
		},
		"a node whose heartbeat came before is dead": {
			node: node{known: true, missing: true, alive: alive}, renewed: alive.Add(time.Second), want: node{known: true, missing: true, alive: alive, dead: true}, news: true,
		},
		"a node whose heartbeat came since lives": {
			node: node{known: true, missing: true, alive: alive}, renewed: alive.Add(2 * time.Second), want: node{known: true, missing: true, alive: alive, contradicted: true},
		},
		"a dead node whose heartbeat comes lives again": {
			node: node{known: true, missing: true, alive: alive, dead: true}, renewed: alive.Add(9 * time.Second), want: node{known: true, missing: true, alive: alive, contradicted: true}, news: true,
		},
		"a dead node without another heartbeat stays dead": {
			node: node{known: true, missing: true, alive: alive, dead: true}, want: node{known: true, missing: true, alive: alive, dead: true},
		},
		"a node that lives by a heartbeat does not die of an old one": {
			node: node{known: true, missing: true, alive: alive, contradicted: true}, want: node{known: true, missing: true, alive: alive, contradicted: true},
		},
		"a node that has answered meanwhile lives": {node: node{known: true, alive: alive}, want: node{known: true, alive: alive}},
	} {
		t.Run(name, func(t *testing.T) {
			n := test.node
			d := detector{timeout: 5 * time.Second, nodes: map[string]*node{"a": &n}}
			if news := d.judge("a", test.renewed); news != test.news {
				t.Errorf("news %t", news)
			}
			if diff := cmp.Diff(test.want, n, cmp.AllowUnexported(node{})); diff != "" {
				t.Errorf("node (-want +got):\n%s", diff)
			}
		})
	}
}
