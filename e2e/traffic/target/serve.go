package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// serve answers until ctx is done and the grace period is over. Then it returns
// without waiting for open connections.
func serve(ctx context.Context, address string, grace time.Duration, lock *lock) error {
	pod, err := os.Hostname()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(record.Answer{Pod: pod, Boot: time.Now()}, lock), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-served:
		return err
	case <-time.After(grace):
		return nil
	}
}

// handler answers / with answer, and /ready for a readiness probe. POST /ready/false
// makes the probe fail, and POST /ready/true makes it succeed again. POST
// /failing/true makes both answers 503, until POST /failing/false, as of an
// application that knows that it cannot serve. While another process has the lock, /
// is answered with 409. In either case the body still has the answer.
func handler(answer record.Answer, lock *lock) http.Handler {
	var unready, failing atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case failing.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case !lock.take():
			w.WriteHeader(http.StatusConflict)
		}
		_ = json.NewEncoder(w).Encode(answer) // fails if the client is gone
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if unready.Load() || failing.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /ready/{value}", func(w http.ResponseWriter, r *http.Request) {
		unready.Store(r.PathValue("value") == "false")
		fmt.Fprintln(w, !unready.Load())
	})
	mux.HandleFunc("POST /failing/{value}", func(w http.ResponseWriter, r *http.Request) {
		failing.Store(r.PathValue("value") == "true")
		fmt.Fprintln(w, failing.Load())
	})
	return mux
}
