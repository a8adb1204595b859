package probe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// readRequest reads a request. It returns nil if there is none.
func readRequest(conn net.Conn) *http.Request {
	_ = conn.SetReadDeadline(time.Now().Add(enough))
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return nil
	}
	return request
}

// withoutEnd writes a header, and then a body again and again until that fails. Unless
// tick is nil, it waits for a tick each time.
func withoutEnd(header, body string, tick <-chan time.Time) func(net.Conn) {
	return func(conn net.Conn) {
		withHTTP(header)(conn)
		for {
			if tick != nil {
				<-tick
			}
			if _, err := io.WriteString(conn, body); err != nil {
				return
			}
		}
	}
}

// overTLS returns a handler of TLS connections, with a certificate that no client trusts.
func overTLS(t *testing.T, handle func(net.Conn)) func(net.Conn) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	config := &tls.Config{Certificates: server.TLS.Certificates}
	return func(conn net.Conn) { handle(tls.Server(conn, config)) }
}

// withChain returns a handler of TLS connections that presents its certificate so many times.
func withChain(t *testing.T, times int) func(net.Conn) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	chain := server.TLS.Certificates[0]
	chain.Certificate = slices.Repeat(chain.Certificate, times)
	return func(conn net.Conn) {
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{chain}}).HandshakeContext(t.Context())
	}
}

func TestHTTP(t *testing.T) {
	status := func(status string) func(net.Conn) {
		return withHTTP("HTTP/1.1 ", status, "\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
	}
	drip := time.NewTicker(10 * time.Millisecond)
	defer drip.Stop()
	const (
		late    = "no answer within 100ms"
		gone    = "it closed the connection without an answer"
		broken  = "net/http: HTTP/1.x transport connection broken: "
		noTLS   = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
		tooMuch = "its answer is longer than 24576 bytes"
		partial = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwell"
	)
	for name, test := range map[string]struct {
		scheme api.ProbeScheme
		host   string
		handle func(net.Conn)
		// timeout is enough by default.
		timeout time.Duration
		// want are the allowed errors, divided by |; empty if the answer is good.
		want string
	}{
		"200":         {handle: status("200 OK")},
		"204":         {handle: withHTTP("HTTP/1.1 204 No Content\r\n\r\n")},
		"302":         {handle: status("302 Found")},
		"399":         {handle: status("399 Odd")},
		"400":         {handle: status("400 Bad Request"), want: "status 400"},
		"500":         {handle: status("500 Internal Server Error"), want: "status 500"},
		"503 by IPv6": {host: "::1", handle: status("503 Service Unavailable"), want: "status 503"},
		"101":         {handle: withHTTP("HTTP/1.1 101 Switching Protocols\r\nUpgrade: no\r\n\r\n"), want: "status 101"},
		"103 before the response": {
			handle: withHTTP("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), want: "status 500",
		},
		"by IPv6":                              {host: "::1", handle: status("200 OK")},
		"HTTP/1.0":                             {handle: func(c net.Conn) { withHTTP("HTTP/1.0 200 OK\r\n\r\nwell")(c); c.Close() }},
		"the server hangs":                     {handle: func(net.Conn) {}, timeout: short, want: late},
		"the server closes at once":            {handle: func(c net.Conn) { c.Close() }, want: gone + "|connection reset by peer|http: server closed idle connection"},
		"the server closes after the question": {handle: func(c net.Conn) { readRequest(c); c.Close() }, want: gone},
		"the server answers too late":          {handle: func(c net.Conn) { <-time.After(2 * short); status("200 OK")(c) }, timeout: short, want: late},
		"half a header":                        {handle: withHTTP("HTTP/1.1 200 OK\r\nContent-"), timeout: short, want: late},
		"half a header and the end": {
			handle: func(c net.Conn) { withHTTP("HTTP/1.1 200 OK\r\nContent-")(c); c.Close() }, want: broken + `malformed MIME header: missing colon: "Content-"`,
		},
		"half a body":             {handle: withHTTP(partial), timeout: short, want: late},
		"half a body and the end": {handle: func(c net.Conn) { withHTTP(partial)(c); c.Close() }, want: "unexpected EOF"},
		"a body without end":      {handle: withoutEnd("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("well", 1000), nil)},
		"a body without end that is slow": {
			handle: withoutEnd("HTTP/1.1 200 OK\r\n\r\n", "w", drip.C), timeout: short, want: late,
		},
		"a header without end": {
			handle: withoutEnd("HTTP/1.1 200 OK\r\n", "A: "+strings.Repeat("a", 1000)+"\r\n", nil),
			want:   broken + "net/http: server response headers exceeded 16384 bytes; aborted",
		},
		"more certificates than are read": {scheme: api.ProbeHTTPS, handle: withChain(t, 100), want: tooMuch},
		"a body of which all that may be read is read, after certificates": {
			scheme: api.ProbeHTTPS, handle: overTLS(t, withHTTP("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("w", maxBody))),
		},
		"another protocol": {handle: withHTTP("SSH-2.0-OpenSSH_9.6\r\n"), want: broken + `malformed HTTP response "SSH-2.0-OpenSSH_9.6"`},

		"TLS":            {scheme: api.ProbeHTTPS, handle: overTLS(t, status("200 OK"))},
		"TLS by IPv6":    {scheme: api.ProbeHTTPS, host: "::1", handle: overTLS(t, status("200 OK"))},
		"TLS and 500":    {scheme: api.ProbeHTTPS, handle: overTLS(t, status("500 Internal Server Error")), want: "status 500"},
		"TLS that hangs": {scheme: api.ProbeHTTPS, handle: func(net.Conn) {}, timeout: short, want: late},
		"no TLS":         {scheme: api.ProbeHTTPS, handle: withHTTP(noTLS), want: "tls: first record does not look like a TLS handshake"},
		"unexpected TLS": {handle: overTLS(t, func(c net.Conn) { status("200 OK")(c); c.Close() }), want: gone},
	} {
		t.Run(name, func(t *testing.T) {
			host, scheme, timeout := test.host, test.scheme, test.timeout
			if host == "" {
				host = "127.0.0.1"
			}
			if scheme == "" {
				scheme = api.ProbeHTTP
			}
			if timeout == 0 {
				timeout = enough
			}
			port := serve(t, host, test.handle)
			if got := askFor(t, host, api.Probe{Scheme: scheme, Port: port, Path: "/", Timeout: timeout}); !slices.Contains(strings.Split(test.want, "|"), got) {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

func TestHTTPOfABadPath(t *testing.T) {
	if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeHTTP, Port: 80, Path: "/%zz", Timeout: enough}); !strings.Contains(got, "invalid URL escape") {
		t.Errorf("error %q", got)
	}
}

// Each question is one request. No redirect is followed, and no proxy is used.
func TestHTTPRequest(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	asked := make(chan string, 10)
	port := serve(t, "127.0.0.1", func(conn net.Conn) {
		dump, err := httputil.DumpRequest(readRequest(conn), true)
		if err != nil {
			t.Error(err)
		}
		asked <- string(dump)
		_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
	})
	for range 2 {
		if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeHTTP, Port: port, Path: "/health%20z?full=1", Timeout: enough}); got != "" {
			t.Error(got)
		}
		want := fmt.Sprintf("GET /health%%20z?full=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n"+
			"Connection: close\r\nUser-Agent: active-standby-controller/probe\r\n\r\n", port)
		if diff := cmp.Diff(want, <-asked); diff != "" {
			t.Errorf("request (-want +got): %s", diff)
		}
	}
	headers := "Host:web.example\nAuthorization:Basic abc:=\nX-Part:a\nX-Part: b\nuser-agent:kube-probe/1.36\n"
	if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeHTTP, Port: port, Path: "/", Headers: headers, Timeout: enough}); got != "" {
		t.Error(got)
	}
	want := "GET / HTTP/1.1\r\nHost: web.example\r\nAccept: */*\r\nAuthorization: Basic abc:=\r\nConnection: close\r\nUser-Agent: kube-probe/1.36\r\nX-Part: a\r\nX-Part: b\r\n\r\n"
	if diff := cmp.Diff(want, <-asked); diff != "" {
		t.Errorf("request with headers (-want +got): %s", diff)
	}
	if len(asked) > 0 {
		t.Errorf("asked again: %s", <-asked)
	}
}
