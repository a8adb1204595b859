package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func fine() error { return nil }

func get(t *testing.T, handler http.Handler, method, path string) (status int, body string) {
	t.Helper()
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return response.Code, response.Body.String()
}

func TestHandler(t *testing.T) {
	stuck := func() error { return errors.New("the sync of default/web has taken 1m5s so far") }
	tests := map[string]struct {
		live, ready  Check
		method, path string
		status       int
		body         string
	}{
		"a check that is fine makes the program alive":                    {fine, stuck, "GET", "/livez", 200, "ok\n"},
		"a check that fails makes the program not alive, and is answered": {stuck, fine, "GET", "/livez", 503, "the sync of default/web has taken 1m5s so far\n"},
		"a check that is fine makes the program ready":                    {stuck, fine, "GET", "/readyz", 200, "ok\n"},
		"a check that fails makes the program not ready, and is answered": {fine, stuck, "GET", "/readyz", 503, "the sync of default/web has taken 1m5s so far\n"},
		"there is no start page":                                          {fine, fine, "GET", "/", 404, "404 page not found\n"},
		"there is no page below the checks":                               {fine, fine, "GET", "/livez/ping", 404, "404 page not found\n"},
		"a check cannot be posted":                                        {fine, fine, "POST", "/readyz", 405, "Method Not Allowed\n"},
		"metrics cannot be posted":                                        {fine, fine, "POST", "/metrics", 405, "Method Not Allowed\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := get(t, Handler(test.live, test.ready), test.method, test.path)
			if status != test.status || body != test.body {
				t.Errorf("answer %d %q, want %d %q", status, body, test.status, test.body)
			}
		})
	}
}

func TestHandlerAsksEachTime(t *testing.T) {
	var now error
	handler := Handler(fine, func() error { return now })
	for _, now = range []error{nil, errors.New("no"), nil} {
		want := 200
		if now != nil {
			want = 503
		}
		if status, _ := get(t, handler, "GET", "/readyz"); status != want {
			t.Errorf("status %d while the check says %v, want %d", status, now, want)
		}
	}
}

func TestHandlerMetrics(t *testing.T) {
	status, body := get(t, Handler(fine, fine), "GET", "/metrics")
	// The legacy registry always has the metrics of the Go runtime.
	if status != 200 || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("answer %d:\n%s", status, body)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func request(t *testing.T, listener net.Listener) (body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/", listener.Addr()), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return string(read), err
}

func TestServeStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listener, served := listen(t), make(chan error)
	go func() {
		served <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") }))
	}()
	if body, err := request(t, listener); err != nil || body != "here" {
		t.Errorf("answer %q, error %v", body, err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("served: %v", err)
	}
	if body, err := request(t, listener); err == nil {
		t.Errorf("answer %q after the end", body)
	}
}

func TestServeAnswersWhatItHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener := pipes{connected: make(chan net.Conn), closed: make(chan struct{})}
		go func() {
			err := Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				cancel()
				// Time passes only once everything else is blocked, so the end has come by then.
				time.Sleep(500 * time.Millisecond)
				fmt.Fprint(w, "here")
			}))
			if err != nil {
				t.Errorf("served: %v", err)
			}
		}()
		client, server := net.Pipe()
		listener.connected <- server
		defer client.Close()
		fmt.Fprint(client, "GET / HTTP/1.0\r\n\r\n")
		if answer, err := io.ReadAll(client); err != nil || !strings.HasSuffix(string(answer), "\r\n\r\nhere") {
			t.Errorf("answer %q, error %v", answer, err)
		}
		// The shutdown waits no longer than this for answers.
		time.Sleep(time.Second)
	})
}

// pipes is a listener within the process, which a bubble needs.
type pipes struct {
	connected chan net.Conn
	closed    chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case connection := <-p.connected:
		return connection, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func TestServeOfAContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	listener := listen(t)
	if err := Serve(ctx, listener, http.NotFoundHandler()); err != nil {
		t.Errorf("served: %v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
}

func TestServeFails(t *testing.T) {
	listener := listen(t)
	listener.Close()
	err := Serve(t.Context(), listener, http.NotFoundHandler())
	if want := "serving on " + listener.Addr().String() + ": "; !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %q and why", err, want)
	}
}
