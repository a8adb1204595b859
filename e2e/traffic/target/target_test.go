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

// Each request has a connection of its own. With -keep one connection serves all
// requests, even those with an error, until an answer is late, it breaks, or the server
// closes it.
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
			recorded := map[string]bool{} // by connection
			ask := func(ctx context.Context, pod string, well bool) {
				t.Helper()
				var r record.Request
				if err := asks(ctx, &r); r.Pod != pod || (err == nil) != well {
					t.Errorf("pod %q answered, want %q and success %t: %v", r.Pod, pod, well, err)
				}
				recorded[r.Connection] = true
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
			check("after an answer that hangs", want[1])
			server.CloseClientConnections()
			ask(t.Context(), "web-0", true)
			check("after a connection that breaks", want[2])
			last.Store(true)
			ask(t.Context(), "web-0", true)
			ask(t.Context(), "web-0", true)
			check("after a connection that the server closes", want[3])
			if keep != (len(recorded) == int(want[3])) || keep == recorded[""] {
				t.Errorf("recorded connections %v, want %d if they are kept, else none", recorded, want[3])
			}
		})
	}
}

// A late answer delays the next request only if repeat waits for answers.
func TestRepeat(t *testing.T) {
	for _, waits := range []bool{false, true} {
		var out bytes.Buffer
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 995*time.Millisecond) // ends between two ticks
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

// A failing application fails its readiness probe. A pod that is not Ready may still
// serve.
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

// Only the process that has taken the lock serves, and once it has ended the next does.
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
	_ = old.file.Close() // as the kernel does at the end of a process
	check(next, http.StatusOK)
	if _, err := newLock(path + "another"); err == nil {
		t.Error("newLock accepts a file that does not exist")
	}
}

func post(target http.Handler, path string) {
	target.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
}
