package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// userAgent tells these questions from other requests in a pod's own logs.
const userAgent = "active-standby-controller/probe"

// dialer connects to pods. Kubelet sets SO_LINGER to 1 s, to have fewer sockets in
// TIME-WAIT. This dialer does not: with Linux 6.18 there were as many, and closing the
// connection to a dead node would block a thread for that second. There is no keep-alive,
// because a connection lives too short for it.
var dialer = net.Dialer{KeepAlive: -1}

// ask asks one question. It opens a connection for it, as a new client would, because
// an open connection may work where no new one does. It returns nil if the answer is
// good. It waits as long as ctx allows, which must be for the probe's timeout.
func ask(ctx context.Context, address string, probe api.Probe) error {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	to := netip.AddrPortFrom(ip, probe.Port)
	switch probe.Scheme {
	case api.ProbeTCP:
		err = askTCP(ctx, to)
	case api.ProbeHTTP, api.ProbeHTTPS:
		err = askHTTP(ctx, to, probe)
	case api.ProbeGRPC:
		err = askGRPC(ctx, to, probe)
	default:
		err = fmt.Errorf("the scheme %q is not known", probe.Scheme)
	}
	return explain(ctx, err, probe)
}

// askTCP connects, which is a good answer if it succeeds.
func askTCP(ctx context.Context, to netip.AddrPort) error {
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
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
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &operation):
		return operation.Err
	case errors.Is(err, io.EOF):
		return errors.New("it closed the connection without an answer")
	}
	return err
}

// ours reports whether an error comes from this process or its machine. No pod is to
// blame for it.
func ours(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
