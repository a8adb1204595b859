package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Clients that hang do not keep kubelet from being answered.
func TestOldestConnectionsAreClosed(t *testing.T) {
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = Serve(ctx, listener, Handler(fine, fine)) }()
	var hanging []net.Conn
	for range 2 * maxConnections {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		hanging = append(hanging, conn)
	}
	if body, err := request(t, listener); err != nil {
		t.Errorf("answer %q, error %v", body, err)
	}
	open := 0
	for _, conn := range hanging {
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
		if open > maxConnections {
			t.Fatalf("more than %d connections are open", maxConnections)
		}
	}
}

func TestClientsThatHangAreCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		request string
		within  time.Duration
	}{
		"a client that asks for nothing":           {"", 5 * time.Second},
		"a client that sends half a header":        {"GET /livez HTTP/1.1\r\nHost: a\r\n", 5 * time.Second},
		"a client that sends a header without end": {"GET /livez HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 4*maxHeader), 10 * time.Second},
		"a client that does not read its answer":   {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener := pipes{connected: make(chan net.Conn), closed: make(chan struct{})}
				served := make(chan error)
				go func() { served <- Serve(ctx, listener, Handler(fine, fine)) }()
				client, server := net.Pipe()
				closed := &closing{server, make(chan struct{})}
				listener.connected <- closed
				go fmt.Fprint(client, test.request)
				began := time.Now()
				<-closed.closed
				if took := time.Since(began); took > test.within+time.Second {
					t.Errorf("cut off after %s", took)
				}
				client.Close()
				cancel()
				if err := <-served; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// closing tells when it is closed.
type closing struct {
	net.Conn
	closed chan struct{}
}

func (c *closing) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}

func TestFewMetricsAtOnce(t *testing.T) {
	answering, begun := make(chan struct{}), make(chan struct{})
	handler := atOnce(1, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-answering
		_, _ = io.WriteString(w, "metrics")
	}))
	first := make(chan int)
	go func() {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody))
		first <- response.Code
	}()
	<-begun
	if status, body := get(t, handler, "GET", "/metrics"); status != http.StatusServiceUnavailable {
		t.Errorf("the second request at a time is answered by %d %q", status, body)
	}
	close(answering)
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first request is answered by %d", status)
	}
}
