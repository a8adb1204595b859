package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// Each request has a connection of its own; or one serves for all, those with an
// error among them, until an answer does not come in time, it breaks, or the server says
// that it is the last.
func TestConnections(t *testing.T) {
	for keep, want := range map[bool][4]int32{false: {4, 6, 7, 9}, true: {1, 2, 3, 4}} {
		t.Run(fmt.Sprintf("keep %t", keep), func(t *testing.T) {
			var connections atomic.Int32
			var giveUp atomic.Pointer[context.CancelFunc]
			var last atomic.Bool
			target := handler(record.Answer{Pod: "web-0"}, nil)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if give := giveUp.Swap(nil); give != nil {
					(*give)()
					<-r.Context().Done()
					return
				}
				if last.Swap(false) {
					w.Header().Set("Connection", "close")
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

			asks := request(server.URL, time.Minute)
			if keep {
				asks = (&kept{url: server.URL}).request
			}
			said := map[string]bool{} // of the connections
			ask := func(ctx context.Context, pod string, well bool) {
				t.Helper()
				var r record.Request
				if err := asks(ctx, &r); r.Pod != pod || (err == nil) != well {
					t.Errorf("the pod %q answered, want %q: %v", r.Pod, pod, err)
				}
				said[r.Connection] = true
			}
			ask(t.Context(), "web-0", true)
			post(target, "/failing/true")
			ask(t.Context(), "web-0", false)
			post(target, "/failing/false")
			ask(t.Context(), "web-0", true)
			ask(t.Context(), "web-0", true)
			check := func(when string, want int32) {
				t.Helper()
				if got := connections.Load(); got != want {
					t.Errorf("%d connections %s, want %d", got, when, want)
				}
			}
			check("at first", want[0])
			ctx, cancel := context.WithCancel(t.Context())
			giveUp.Store(&cancel)
			ask(ctx, "", false)
			ask(t.Context(), "web-0", true)
			check("after one that hangs", want[1])
			server.CloseClientConnections()
			ask(t.Context(), "web-0", true)
			check("after one that breaks", want[2])
			last.Store(true)
			ask(t.Context(), "web-0", true)
			ask(t.Context(), "web-0", true)
			check("after one that ends", want[3])
			if keep != (len(said) == int(want[3])) || keep == said[""] {
				t.Errorf("%d connections, which are said to be %v", want[3], said)
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
			if requests[i].Number != i+1 {
				t.Errorf("waits %t: the request no. %d has the number %d", waits, i+1, requests[i].Number)
				break
			}
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
	target := handler(record.Answer{}, nil)
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

// Who has taken the lock answers, and another one when that process has ended.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	process := func() (*lock, http.Handler) {
		l, err := newLock(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.file.Close() })
		return l, handler(record.Answer{}, l)
	}
	old, master := process()
	_, next := process()
	check := func(target http.Handler, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		target.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
	for range 2 {
		check(master, http.StatusOK)
		check(next, http.StatusConflict)
	}
	_ = old.file.Close() // as the kernel does
	check(next, http.StatusOK)
	if _, err := newLock(path + "another"); err == nil {
		t.Error("a file that is not there can be locked")
	}
}

func post(target http.Handler, path string) {
	target.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
}
