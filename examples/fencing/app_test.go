package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyTheMasterCounts(t *testing.T) {
	wired(t, func(w *wire) {
		believed := w.run("fencing-0")
		wait(time.Second)
		w.counted(nothing)
		believed.Store(1)
		wait(time.Second)
		w.counted(count(10, 1))
		believed.Store(0)
		wait(time.Second)
		w.counted(count(10, 1))
	})
}

func TestANewMasterGoesOnCounting(t *testing.T) {
	wired(t, func(w *wire) {
		former, next := w.run("fencing-0"), w.run("fencing-1")
		former.Store(1)
		wait(time.Second)
		former.Store(0)
		next.Store(2)
		wait(time.Second)
		w.counted(count(20, 2))
		if diff := cmp.Diff(`200 {"value":"fencing-1","epoch":2}`, ask(t, w.store, "GET /master", "")); diff != "" {
			t.Errorf("the master (-want +got):\n%s", diff)
		}
	})
}

// The former master stops in time, but a write that it sent before arrives late.
func TestALateWriteIsRefused(t *testing.T) {
	wired(t, func(w *wire) {
		former, next := w.run("fencing-0"), w.run("fencing-1")
		former.Store(1)
		wait(time.Second)
		w.delay.Store(int64(5 * time.Second))
		wait(every)
		w.delay.Store(0)
		former.Store(0)
		wait(time.Second)
		w.counted(count(10, 1))
		next.Store(2)
		wait(time.Second)
		w.counted(count(20, 2))
		wait(4 * time.Second)
		w.counted(count(60, 2), "http://store/count?epoch=1")
	})
}

// A former master's write that arrives after the new master has begun, and before it
// counts, is refused too. Otherwise the new master would count on from an old value.
func TestAMasterWritesBeforeItReads(t *testing.T) {
	wired(t, func(w *wire) {
		next := w.run("fencing-1")
		ask(t, w.store, "PUT /count?epoch=1", "7")
		next.Store(2)
		wait(every)
		w.counted(count(8, 2))
		var order []string
		store := w.store
		w.store = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			order = append(order, r.Method+" "+r.URL.String())
			store.ServeHTTP(rw, r)
		})
		next.Store(3)
		wait(every)
		want := []string{"PUT http://store/master?epoch=3", "GET http://store/count", "PUT http://store/count?epoch=3"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestARefusedMasterWritesNoMoreInThatEpoch(t *testing.T) {
	wired(t, func(w *wire) {
		former := w.run("fencing-0")
		former.Store(1)
		wait(time.Second)
		ask(t, w.store, "PUT /master?epoch=2", "fencing-1")
		wait(time.Second)
		w.counted(count(10, 1), "http://store/count?epoch=1")
		former.Store(3)
		wait(time.Second)
		w.counted(count(20, 3), "http://store/count?epoch=1")
	})
}

func TestAStoreThatDoesNotAnswerHoldsNothingUp(t *testing.T) {
	wired(t, func(w *wire) {
		believed := w.run("fencing-0")
		w.delay.Store(int64(time.Hour))
		believed.Store(1)
		wait(10 * time.Second)
		w.counted(nothing)
		w.delay.Store(0)
		wait(time.Second)
		believed.Store(0)
		if got := ask(t, w.store, "GET /master", ""); got != `200 {"value":"fencing-0","epoch":1}` {
			t.Errorf("the store has %s", got)
		}
		wait(time.Hour) // until every write has arrived
	})
}
