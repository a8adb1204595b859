// Package server answers the requests of Kubernetes and Prometheus to the program: /livez,
// /readyz and /metrics.
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

// Check returns nil while all is well, and otherwise an error that tells what is not. It
// is called at each request, from any goroutine.
type Check func() error

// Handler serves live at /livez, ready at /readyz and the metrics of legacyregistry at
// /metrics. A check that fails is answered with 503 and its error.
func Handler(live, ready Check) http.Handler {
	mux := health(live, ready)
	mux.Handle("GET /metrics", atOnce(maxScrapes, legacyregistry.Handler()))
	return mux
}

// Health serves what Handler serves, but for the metrics.
func Health(live, ready Check) http.Handler { return health(live, ready) }

func health(live, ready Check) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", checked(live))
	mux.Handle("GET /readyz", checked(ready))
	return mux
}

// checked serves "ok", or the error of the check.
func checked(check Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// Serve serves on the listener until ctx is done, and closes it. It returns an error only
// if serving ends earlier. It does not wait for requests that are under way, which may be
// answered within another second, unless the process ends before.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeader,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second,
	}
	stopped := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// The end of the process cuts off requests that are not answered by then.
		_ = server.Shutdown(closing)
	})
	defer stopped()
	if err := server.Serve(limit(listener)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	}
	return nil
}
