// Package server answers what Kubernetes and Prometheus ask of the program:
// /livez, /readyz and /metrics.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/component-base/metrics/legacyregistry"
)

// Check returns nil while all is well, and otherwise what is not.
type Check func() error

// Handler serves the checks and the metrics of legacyregistry.
func Handler(live, ready Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", checked(live))
	mux.Handle("GET /readyz", checked(ready))
	mux.Handle("GET /metrics", legacyregistry.Handler())
	return mux
}

func checked(check Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// Serve serves on the listener until ctx is done.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second}
	stopped := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// What is still being answered after that is cut off with the process.
		_ = server.Shutdown(closing)
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	}
	return nil
}
