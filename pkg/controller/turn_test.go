package controller

import (
	"strconv"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestTurns(t *testing.T) {
	var now time.Time
	web := key{Namespace: "shop", Name: "web"}
	version := 0
	written := func(record string) *coordinationv1.Lease {
		version++
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.Itoa(version), Annotations: map[string]string{api.AnnotationRecord: record}},
			Spec:       coordinationv1.LeaseSpec{RenewTime: ptr.To(metav1.NewMicroTime(now))},
		}
	}
	replica := func(lag float64) *turns {
		return newTurns(func() time.Time { return now }, func(key) float64 { return lag })
	}
	expect := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: waits for %s, want %s", what, got, want)
		}
	}
	first, second := replica(0), replica(1)
	expect("no Lease, no lag", first.wait(web, nil, recordTurn), 0)
	expect("no Lease, all lag", second.wait(web, nil, recordTurn), firstTurn)
	l := written("1/a")
	first.saw(web, l)
	expect("the one that wrote it", first.wait(web, l, recordTurn), 0)
	expect("the other", second.wait(web, l, recordTurn), recordTurn*3/2)
	now = now.Add(recordTurn)
	expect("the other, a little later", second.wait(web, l, recordTurn), recordTurn/2)
	edited := l.DeepCopy()
	edited.ResourceVersion, edited.Spec.HolderIdentity = "edited", ptr.To("b")
	expect("the one that wrote it, of an edit", first.wait(web, edited, recordTurn), 0)
	now = now.Add(recordTurn)
	expect("the other, of an edit in its turn", second.wait(web, edited, recordTurn), 0)
	now = now.Add(time.Minute)
	expect("the other, of a later edit", second.wait(web, edited, recordTurn), recordTurn*3/2)
	l = written("2/b")
	second.saw(web, l)
	expect("the other, which has written now", second.wait(web, l, routeTurn), 0)
	expect("the former", first.wait(web, l, routeTurn), routeTurn)
	first.forget(web)
	expect("the former, anew", first.wait(web, l, routeTurn), routeTurn)
	expect("the former, of a decision", first.wait(web, l, recordTurn), recordTurn)
	// Whoever writes to the Lease all the time does not put off the election for ever.
	for range 10 {
		now = now.Add(routeTurn / 10)
		l = written("2/b")
	}
	expect("the former, of a Lease that another program writes", first.wait(web, l, routeTurn), 0)
}

// When many masters fail, the replica whose turn it is needs longer than a turn. The other takes
// over one election at a time, and more the longer it hears of no decision.
func TestTakingOver(t *testing.T) {
	var now time.Time
	turns := newTurns(func() time.Time { return now }, func(key) float64 { return 0 })
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{api.AnnotationRecord: "1/a"}}}
	of := func(name string) key { return key{Namespace: "shop", Name: name} }
	// takes returns those of the elections that are taken over now.
	takes := func(names ...string) (taken string) {
		for _, name := range names {
			if turns.wait(of(name), l, recordTurn) == 0 {
				taken += name
			}
		}
		return taken
	}
	decides := func(names ...string) {
		for _, name := range names {
			turns.saw(of(name), l)
			turns.ended(of(name))
		}
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: takes over %q, want %q", what, got, want)
		}
	}
	all := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	expect("in the other's turn", takes(all...), "")
	now = now.Add(recordTurn)
	expect("after the turn", takes(all...), "a")
	expect("again", takes(all...), "a")
	decides("a")
	expect("before the others are due again", takes(all[1:]...), "")
	now = now.Add(2 * recordTurn)
	expect("after a decision", takes(all[1:]...), "bc")
	decides("b", "c")
	now = now.Add(4 * recordTurn)
	turns.heard(of("a"), l)
	expect("after the watch has shown a decision of its own", takes(all[3:]...), "defg")
	turns.ended(of("d"))
	expect("after one that came to nothing", takes("h"), "")
	other := l.DeepCopy()
	other.Annotations[api.AnnotationRecord] = "2/b"
	turns.heard(of("d"), other)
	decides("e", "f", "g")
	turns.heard(of("d"), other)
	now = now.Add(8 * recordTurn)
	expect("after a decision of the other", takes("h", "i"), "h")
	now = now.Add(longestTurn)
	expect("after the longest turn", takes("i"), "i")
}
