package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wire connects apps and a store. Time is that of a bubble.
type wire struct {
	*testing.T
	store http.Handler
	// delay is how long a request that is sent from now on takes to arrive. It arrives even
	// if the sender no longer waits for the answer.
	delay   atomic.Int64
	lock    sync.Mutex
	refused []string
}

func wired(t *testing.T, test func(w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(&wire{T: t, store: newStore().handler()}) })
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	answered, delay := make(chan *http.Response, 1), time.Duration(w.delay.Load())
	go func() {
		pass(delay)
		answer := httptest.NewRecorder()
		w.store.ServeHTTP(answer, r)
		if answer.Code == http.StatusConflict {
			w.lock.Lock()
			defer w.lock.Unlock()
			w.refused = append(w.refused, r.URL.String())
		}
		answered <- answer.Result()
	}()
	select {
	case response := <-answered:
		return response, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// run runs the app of a pod. The pod believes that it is the master in the epoch that is
// returned, or that it is not the master if that is 0.
func (w *wire) run(pod string) *atomic.Int32 {
	w.Helper()
	believed := &atomic.Int32{}
	a := &app{pod: pod, store: client{url: "http://store", http: &http.Client{Transport: w}}, epoch: func(time.Time) (int32, bool) {
		epoch := believed.Load()
		return epoch, epoch > 0
	}}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx)
	}()
	w.Cleanup(func() { cancel(); <-done })
	return believed
}

// counted fails the test unless the store has that count, and has refused these requests.
func (w *wire) counted(want string, refused ...string) {
	w.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, ask(w.T, w.store, "GET /count", "")); diff != "" {
		w.Errorf("counted (-want +got):\n%s", diff)
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	if diff := cmp.Diff(refused, w.refused); diff != "" {
		w.Errorf("refused (-want +got):\n%s", diff)
	}
}

const nothing = "404 there is no such key"

func count(n, epoch int) string { return fmt.Sprintf(`200 {"value":"%d","epoch":%d}`, n, epoch) }
