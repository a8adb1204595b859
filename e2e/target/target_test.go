package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qoqo.dev/active-standby-controller/e2e/target/record"
)

// Each request has a connection of its own; or one serves for all, those with an
// error among them, until an answer does not come in time.
func TestConnections(t *testing.T) {
	for keep, want := range map[bool][2]int32{false: {4, 6}, true: {1, 2}} {
		t.Run(fmt.Sprintf("keep %t", keep), func(t *testing.T) {
			var connections atomic.Int32
			var giveUp atomic.Pointer[context.CancelFunc]
			target := handler(record.Answer{Pod: "web-0"})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if give := giveUp.Swap(nil); give != nil {
					(*give)()
					<-r.Context().Done()
					return
				}
				target.ServeHTTP(w, r)
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			t.Cleanup(server.Close)

			asks := request(server.URL, keep, time.Minute)
			ask := func(ctx context.Context, pod string, well bool) {
				t.Helper()
				var r record.Request
				if err := asks(ctx, &r); r.Pod != pod || (err == nil) != well {
					t.Errorf("the pod %q answered, want %q: %v", r.Pod, pod, err)
				}
			}
			ask(t.Context(), "web-0", true)
			post(target, "/failing/true")
			ask(t.Context(), "web-0", false)
			post(target, "/failing/false")
			ask(t.Context(), "web-0", true)
			ask(t.Context(), "web-0", true)
			if got := connections.Load(); got != want[0] {
				t.Errorf("%d connections, want %d", got, want[0])
			}
			ctx, cancel := context.WithCancel(t.Context())
			giveUp.Store(&cancel)
			ask(ctx, "", false)
			ask(t.Context(), "web-0", true)
			if got := connections.Load(); got != want[1] {
				t.Errorf("%d connections after one that hangs, want %d", got, want[1])
			}
		})
	}
}

// A request waits for a late answer, or does not.
func TestRepeat(t *testing.T) {
	for _, waits := range []bool{false, true} {
		var out bytes.Buffer
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 995*time.Millisecond) // between two ticks
			defer cancel()
			late := func(ctx context.Context, _ *record.Request) error {
				select {
				case <-time.After(25 * time.Millisecond):
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			if err := repeat(ctx, &out, 10*time.Millisecond, time.Second, waits, late); err != nil {
				t.Error(err)
			}
		})
		var requests []record.Request
		for lines := json.NewDecoder(&out); lines.More(); {
			var r record.Request
			if err := lines.Decode(&r); err != nil {
				t.Fatal(err)
			}
			requests = append(requests, r)
		}
		slices.SortFunc(requests, func(a, b record.Request) int { return a.Sent.Compare(b.Sent) })
		if len(requests) < 30 {
			t.Errorf("%d requests in about a second", len(requests))
		}
		for i := range requests[1:] {
			if overlap := requests[i+1].Sent.Before(requests[i].Done); overlap == waits {
				t.Errorf("waits %t: a request was sent at %s, when the one before was done at %s", waits, requests[i+1].Sent, requests[i].Done)
				break
			}
		}
	}
}

// An application that fails says so to its readiness probe; it may also be
// not Ready, and serve.
func TestHandler(t *testing.T) {
	target := handler(record.Answer{})
	check := func(root, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/": root, "/ready": ready} {
			w := httptest.NewRecorder()
			target.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			if w.Code != want {
				t.Errorf("GET %s: status %d, want %d", path, w.Code, want)
			}
		}
	}
	check(http.StatusOK, http.StatusOK)
	post(target, "/failing/true")
	check(http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	post(target, "/failing/false")
	post(target, "/ready/false")
	check(http.StatusOK, http.StatusServiceUnavailable)
	post(target, "/ready/true")
	check(http.StatusOK, http.StatusOK)
}

func post(target http.Handler, path string) {
	target.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
}
