package probe

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// serveHTTP2 serves without TLS. It fails the test if the other end leaves a connection
// open until the test ends.
func serveHTTP2(t *testing.T, host string, handler http.HandlerFunc) (port uint16) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("There is no %s here: %v", host, err)
	}
	var open sync.WaitGroup
	server := &http.Server{
		Handler: handler, Protocols: protocols((*http.Protocols).SetUnencryptedHTTP2),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			open.Wait()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(enough):
			t.Error("a connection was not closed")
		}
		server.Close()
	})
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

// withGRPC answers with a body and trailers, as "key: value".
func withGRPC(body string, trailers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
		w.(http.Flusher).Flush()
		for _, trailer := range trailers {
			key, value, _ := strings.Cut(trailer, ": ")
			w.Header().Set(http.TrailerPrefix+key, value)
		}
	}
}

func TestGRPC(t *testing.T) {
	const ok = "Grpc-Status: 0"
	headers := func(pairs ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				w.Header().Set(pairs[i], pairs[i+1])
			}
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			withGRPC(strings.Repeat("\x00", 1<<10))(w, r)
		}
	}
	for name, test := range map[string]struct {
		host    string
		handler http.HandlerFunc
		// timeout is enough by default.
		timeout time.Duration
		want    string
	}{
		"SERVING":                     {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x01", ok)},
		"SERVING by IPv6":             {host: "::1", handler: withGRPC("\x00\x00\x00\x00\x02\x08\x01", ok)},
		"SERVING, and unknown fields": {handler: withGRPC("\x00\x00\x00\x00\x06\x12\x02ab\x08\x01", ok)},
		"NOT_SERVING":                 {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x02", ok), want: "it is NOT_SERVING"},
		"SERVICE_UNKNOWN":             {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x03", ok), want: "it is SERVICE_UNKNOWN"},
		"UNKNOWN is an empty message": {handler: withGRPC("\x00\x00\x00\x00\x00", ok), want: "it is UNKNOWN"},
		"an unknown status":           {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x09", ok), want: "it is 9, which is not SERVING"},
		"the service is unknown": {
			handler: headers("Content-Type", contentType, "Grpc-Status", "5", "Grpc-Message", "unknown service%3A web"),
			want:    `gRPC status 5: "unknown service: web"`,
		},
		"the server has no health service": {
			handler: withGRPC("", "Grpc-Status: 12", "Grpc-Message: unknown%zz"), want: `gRPC status 12: "unknown%zz"`,
		},
		"an error after SERVING": {
			handler: withGRPC("\x00\x00\x00\x00\x02\x08\x01", "Grpc-Status: 13"), want: "gRPC status 13",
		},
		"a message of any length": {
			handler: withGRPC("", "Grpc-Status: 2", "Grpc-Message: "+strings.Repeat("x", 1000)),
			want:    `gRPC status 2: "` + strings.Repeat("x", 100) + `"`,
		},
		"no status":                    {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x01"), want: "there is no gRPC status"},
		"no message":                   {handler: withGRPC("", ok), want: "the answer is not a gRPC message"},
		"half a message":               {handler: withGRPC("\x00\x00\x00\x00\x02\x08", ok), want: "the answer is not a gRPC message"},
		"more than a message":          {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x01\x00", ok), want: "the answer is not a gRPC message"},
		"a message that is compressed": {handler: withGRPC("\x01\x00\x00\x00\x02\x08\x01", ok), want: "the answer is not a gRPC message"},
		"a tag that is cut off":        {handler: withGRPC("\x00\x00\x00\x00\x01\x88", ok), want: "unexpected EOF"},
		"a status that is cut off":     {handler: withGRPC("\x00\x00\x00\x00\x02\x08\x81", ok), want: "unexpected EOF"},
		"a message without end":        {handler: endless, want: "the answer is not a gRPC message"},
		"the server hangs": {
			handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout: short, want: "no answer within 100ms",
		},
		"the server hangs with half a message": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				withGRPC("\x00\x00\x00\x00\x02\x08")(w, r)
				<-r.Context().Done()
			},
			timeout: short, want: "no answer within 100ms",
		},
		"the server is another HTTP server": {handler: headers("Content-Type", "text/html"), want: `it does not speak gRPC, but "text/html"`},
		"the server has no such page":       {handler: http.NotFound, want: "status 404"},
	} {
		t.Run(name, func(t *testing.T) {
			host, timeout := test.host, test.timeout
			if host == "" {
				host = "127.0.0.1"
			}
			if timeout == 0 {
				timeout = enough
			}
			port := serveHTTP2(t, host, test.handler)
			if got := askFor(t, host, api.Probe{Scheme: api.ProbeGRPC, Port: port, Timeout: timeout}); got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

// A server that does not speak HTTP/2 fails, however it answers.
func TestGRPCOfAnotherServer(t *testing.T) {
	for name, test := range map[string]struct {
		handle  func(net.Conn)
		timeout time.Duration
		// want is what the error begins with.
		want string
	}{
		"the server speaks HTTP/1.1": {withHTTP("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), enough, "http2: "},
		"the server speaks SSH":      {withHTTP("SSH-2.0-OpenSSH_9.6\r\n"), enough, "http2: "},
		"the server hangs":           {func(net.Conn) {}, short, "no answer within 100ms"},
		"the server closes at once":  {func(c net.Conn) { c.Close() }, enough, ""},
	} {
		t.Run(name, func(t *testing.T) {
			port := serve(t, "127.0.0.1", test.handle)
			got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeGRPC, Port: port, Timeout: test.timeout})
			if got == "" || !strings.HasPrefix(got, test.want) {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
	port := refused(t, "")
	if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeGRPC, Port: port, Timeout: enough}); got != "connection refused" {
		t.Errorf("error %q", got)
	}
}

// The request is the one of the health protocol, for the server or for one service.
func TestGRPCRequest(t *testing.T) {
	for path, message := range map[string]string{
		"":           "\x00\x00\x00\x00\x00",
		"shop.Carts": "\x00\x00\x00\x00\x0c\x0a\x0ashop.Carts",
	} {
		asked := make(chan []string, 1)
		port := serveHTTP2(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			asked <- []string{
				r.Method, r.URL.Path, r.Proto, r.Header.Get("Content-Type"), r.Header.Get("Te"),
				r.Header.Get("Grpc-Encoding"), r.UserAgent(), string(body),
			}
			withGRPC("\x00\x00\x00\x00\x02\x08\x01", "Grpc-Status: 0")(w, r)
		})
		if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeGRPC, Port: port, Path: path, Timeout: enough}); got != "" {
			t.Error(got)
		}
		want := []string{
			"POST", "/grpc.health.v1.Health/Check", "HTTP/2.0", "application/grpc", "trailers",
			"", "active-standby-controller/probe", message,
		}
		if diff := cmp.Diff(want, <-asked); diff != "" {
			t.Errorf("request for %q (-want +got): %s", path, diff)
		}
	}
}
