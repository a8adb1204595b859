package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// userAgent tells these questions from other requests in a pod's own logs.
const userAgent = "active-standby-controller/probe"

// maxAnswer is how many bytes are read of an answer: of headers, certificates, frames and
// body together. What parses them takes ten times as much memory.
const maxAnswer = 24 << 10

// errTooMuch is the failure of a pod whose answer is longer.
var errTooMuch = fmt.Errorf("its answer is longer than %d bytes", maxAnswer)

// dialer connects to pods. There is no keep-alive, because a connection lives too short
// for it.
var dialer = net.Dialer{KeepAlive: -1}

// dial returns a connection from which maxAnswer can be read. It is reset when it is closed
// (SO_LINGER 0): the answer is complete then. So no socket waits in TIME-WAIT, the table of
// connections of the node forgets it after 10 s instead of 120 s, and closing one to a dead
// node does not block.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, is := conn.(*net.TCPConn); is {
		if err := tcp.SetLinger(0); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return &scant{Conn: conn, left: maxAnswer}, nil
}

// scant is a connection from which so many bytes can be read and no more.
type scant struct {
	net.Conn
	left int
}

func (c *scant) Read(b []byte) (n int, err error) {
	if c.left == 0 {
		return 0, errTooMuch
	}
	n, err = c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// ask asks one question. It opens a connection for it, as a new client would, because
// an open connection may work where no new one does. It returns nil if the answer is
// good, and the priority that the answer claims; empty if it claims none. It waits as long
// as ctx allows, which must be for the probe's timeout.
func ask(ctx context.Context, address string, probe api.Probe) (claim string, err error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", err
	}
	to := netip.AddrPortFrom(ip, probe.Port)
	switch probe.Scheme {
	case api.ProbeTCP:
		err = askTCP(ctx, to)
	case api.ProbeHTTP, api.ProbeHTTPS:
		claim, err = askHTTP(ctx, to, probe)
	case api.ProbeGRPC:
		claim, err = askGRPC(ctx, to, probe)
	default:
		err = fmt.Errorf("the scheme %q is not known", probe.Scheme)
	}
	return claim, explain(ctx, err, probe)
}

// claimOf returns the priority that a header or a trailer claims. One that is too long stays so.
func claimOf(header http.Header) string {
	claim := header.Get(api.HeaderPriority)
	return strings.Clone(claim[:min(len(claim), api.MaxValue+1)])
}

// askTCP connects, which is a good answer if it succeeds.
func askTCP(ctx context.Context, to netip.AddrPort) error {
	conn, err := dial(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// explain makes an error readable for a user. The same failure gets the same text for
// each pod and each time: it names no address, because that is known, and no port of a
// connection.
func explain(ctx context.Context, err error, probe api.Probe) error {
	var operation *net.OpError
	var call *os.SyscallError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %s", probe.Timeout)
	case errors.Is(err, errTooMuch):
		return errTooMuch
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &operation):
		return operation.Err
	case errors.Is(err, io.EOF):
		return errors.New("it closed the connection without an answer")
	}
	if text := err.Error(); len(text) > maxReason {
		return errors.New(strings.ToValidUTF8(text[:maxReason], "") + "...")
	}
	return err
}

// maxReason is how many bytes of a failure that repeats an answer are logged.
const maxReason = 200

// Ours reports whether an error comes from this process or its machine. No pod is to
// blame for it.
func Ours(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
