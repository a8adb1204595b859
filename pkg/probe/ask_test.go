package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// enough is a timeout that no answer comes near to. A test waits for short to end.
	enough = 10 * time.Second
	short  = 100 * time.Millisecond
)

// serve handles connections on a host. It fails the test if the other end does not close
// a connection.
func serve(t *testing.T, host string, handle func(net.Conn)) (port uint16) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("There is no %s here: %v", host, err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				handle(conn)
				_ = conn.SetReadDeadline(time.Now().Add(enough))
				if !ends(conn) {
					t.Error("the connection was not closed")
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

// ends reads until either end has closed the connection, and reports whether that came
// before the read deadline.
func ends(conn net.Conn) bool {
	buffer := make([]byte, 4096)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// askFor asks one question. It returns the error as text, empty if the answer is good.
func askFor(t *testing.T, host string, probe api.Probe) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), probe.Timeout)
	defer cancel()
	begun := time.Now()
	_, err := ask(ctx, host, probe)
	if took := time.Since(begun); took > probe.Timeout+enough/2 {
		t.Errorf("the question took %s, although the timeout is %s", took, probe.Timeout)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// refused returns a port that refuses connections, because nothing listens there.
func refused(t *testing.T, _ string) uint16 {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

// unanswered returns a port that does not answer connections, just as a dead node does
// not: its queue of connections to accept is full.
func unanswered(t *testing.T, _ string) uint16 {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := errors.Join(syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(name.(*syscall.SockaddrInet4).Port)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	for range 10 {
		waiting := net.Dialer{Timeout: short}
		conn, err := waiting.DialContext(t.Context(), "tcp", to.String())
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("This system accepts any number of connections.")
	return 0
}

func TestTCP(t *testing.T) {
	listening := func(handle func(net.Conn)) func(*testing.T, string) uint16 {
		return func(t *testing.T, host string) uint16 {
			t.Helper()
			return serve(t, host, handle)
		}
	}
	for name, test := range map[string]struct {
		host    string
		port    func(t *testing.T, host string) uint16
		timeout time.Duration
		want    string
	}{
		"the pod accepts":               {"127.0.0.1", listening(func(net.Conn) {}), enough, ""},
		"the pod accepts with IPv6":     {"::1", listening(func(net.Conn) {}), enough, ""},
		"the pod closes at once":        {"127.0.0.1", listening(func(c net.Conn) { c.Close() }), enough, ""},
		"the port is closed":            {"127.0.0.1", refused, enough, "connection refused"},
		"the node is dead":              {"127.0.0.1", unanswered, short, "no answer within 100ms"},
		"the address is a name":         {"localhost", refused, enough, `ParseAddr("localhost"): unable to parse IP`},
		"the address is empty":          {"", refused, enough, `ParseAddr(""): unable to parse IP`},
		"the address cannot be reached": {"255.255.255.255", refused, enough, "network is unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := askFor(t, test.host, api.Probe{Scheme: api.ProbeTCP, Port: test.port(t, test.host), Timeout: test.timeout})
			if got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

// A connection that is closed leaves no socket in TIME-WAIT.
func TestConnectionsAreReset(t *testing.T) {
	ended := make(chan error, 1)
	port := serve(t, "127.0.0.1", func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	})
	if got := askFor(t, "127.0.0.1", api.Probe{Scheme: api.ProbeTCP, Port: port, Timeout: enough}); got != "" {
		t.Error(got)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection has ended with %v", err)
	}
}

func TestUnknownScheme(t *testing.T) {
	if got := askFor(t, "127.0.0.1", api.Probe{Scheme: "udp", Timeout: short}); got != `the scheme "udp" is not known` {
		t.Errorf("error %q", got)
	}
}

// Whatever error a library returns when the time is over, the user reads that there was
// no answer in time.
func TestExplainTimeout(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	got := explain(ctx, errors.New("stream error: CANCEL"), api.Probe{Timeout: short})
	if got.Error() != "no answer within 100ms" {
		t.Errorf("error %q", got)
	}
}

// A question that is broken off ends at once, whatever it waits for.
func TestBrokenOff(t *testing.T) {
	for _, scheme := range []api.ProbeScheme{api.ProbeHTTP, api.ProbeHTTPS, api.ProbeGRPC} {
		t.Run(string(scheme), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			port := serve(t, "127.0.0.1", func(net.Conn) { cancel() })
			begun := time.Now()
			_, err := ask(ctx, "127.0.0.1", api.Probe{Scheme: scheme, Port: port, Path: "/", Timeout: enough})
			if took := time.Since(begun); !errors.Is(err, context.Canceled) || took > enough/2 {
				t.Errorf("the question ended after %s with %v", took, err)
			}
		})
	}
}

// Questions leave no goroutine and no file descriptor behind, however they end.
func TestNothingIsLeft(t *testing.T) {
	hanging := serve(t, "127.0.0.1", func(net.Conn) {})
	silent, closed := unanswered(t, ""), refused(t, "")
	answering := serve(t, "127.0.0.1", withHTTP("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 20 {
		for _, scheme := range []api.ProbeScheme{api.ProbeTCP, api.ProbeHTTP, api.ProbeHTTPS, api.ProbeGRPC} {
			for _, port := range []uint16{hanging, silent, closed, answering} {
				askFor(t, "127.0.0.1", api.Probe{Scheme: scheme, Port: port, Path: "/", Timeout: 5 * time.Millisecond})
			}
		}
	}
	// The server's part of a connection ends only when the server notices.
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, enough, true, func(context.Context) (bool, error) {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files, nil
	})
	if err != nil {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, before %d; %d files, before %d: %s",
			runtime.NumGoroutine(), goroutines, openFiles(t), files, stacks[:runtime.Stack(stacks, true)])
	}
}

// openFiles returns how many file descriptors this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("There is no /proc/self/fd here.")
	}
	return len(entries)
}

// withHTTP returns a handler that reads a request, and then writes the response.
func withHTTP(response ...string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write([]byte(strings.Join(response, "")))
	}
}
