package controller

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestFair(t *testing.T) {
	f := newFair()
	push := func(text string) {
		for _, word := range strings.Fields(text) {
			namespace, name, _ := strings.Cut(word, "/")
			f.Push(key{Namespace: namespace, Name: name})
		}
	}
	pop := func(n int) string {
		var popped []string
		for range n {
			popped = append(popped, f.Pop().String())
		}
		return strings.Join(popped, " ")
	}
	expect := func(got, want string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
	push("a/1 a/2 a/3 b/1 c/1 c/2")
	expect(pop(2), "a/1 b/1")
	// One that comes later waits for one key of each other namespace.
	push("b/2 d/1")
	expect(fmt.Sprint(f.Len()), "6")
	expect(pop(6), "c/1 a/2 b/2 d/1 c/2 a/3")
	expect(fmt.Sprint(f.Len(), len(f.keys), len(f.waiting)), "0 0 0")
}

func TestPlaces(t *testing.T) {
	p := newPlaces()
	of := func(n int) key { return key{Namespace: "many", Name: fmt.Sprint(n)} }
	for n := range namespaceWorkers {
		if !p.take(of(n)) {
			t.Fatalf("of %d places only %d can be taken", namespaceWorkers, n)
		}
	}
	if p.take(of(100)) || p.take(of(101)) || p.take(of(100)) {
		t.Error("a namespace takes more places than there are for it")
	}
	if !p.take(key{Namespace: "other"}) {
		t.Error("another namespace gets none")
	}
	var returned []string
	for range namespaceWorkers {
		if k, found := p.leave("many"); found {
			returned = append(returned, k.Name)
		}
	}
	if diff := cmp.Diff([]string{"100", "101"}, returned); diff != "" {
		t.Errorf("keys that were put off (-want +got):\n%s", diff)
	}
	if k, found := p.leave("other"); found {
		t.Errorf("%s was never put off", k)
	}
	if len(p.taken)+len(p.putOff) > 0 {
		t.Errorf("%v and %v are remembered", p.taken, p.putOff)
	}
}

// When other elections wait to move their traffic, an election that has moved its own lets them
// go first, once.
func TestTrafficMovesFirst(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.prepare()
		queue := &counted{s.queue, sync.Mutex{}, map[string]int{}}
		s.queue = queue
		c.run(s)
		c.Settle()
		looks := func(crowded bool, failing, next string) int {
			s.places.putOff = map[string][]key{}
			if crowded {
				s.places.putOff["other"] = []key{{Namespace: "other", Name: "db"}}
			}
			c.EditPod(next, fakeapi.SetReady)
			c.Settle()
			s.client.ClearActions()
			queue.woken = map[string]int{}
			c.EditPod(failing, fakeapi.SetNotReady)
			c.Settle()
			want := []string{"update leases web", "patch services web"}
			if diff := cmp.Diff(want, s.writes()[:2]); diff != "" || len(s.writes()) != 4 {
				t.Errorf("writes %q, want %q first, and two of pods", s.writes(), want)
			}
			return queue.woken["web"]
		}
		alone, crowded := looks(false, "web-0", "web-1"), looks(true, "web-1", "web-0")
		if crowded != alone+1 {
			t.Errorf("the election is woken %d times where others wait, want once more than the %d times where none does", crowded, alone)
		}
	})
}
