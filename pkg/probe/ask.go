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

// userAgent is by what a pod's own logs tell these questions from others.
const userAgent = "active-standby-controller/probe"

// dialer connects to pods. It sets no SO_LINGER, as kubelet does to have fewer
// sockets in TIME-WAIT: with Linux 6.18 there were as many, and closing the connection
// to a node that is dead would block a thread for that second. A connection lives
// too short to be kept alive.
var dialer = net.Dialer{KeepAlive: -1}

// ask asks one question by a connection of its own, as a client's would be: one
// that is open already may work where no new one does. It returns nil if the answer
// is good, and it takes as long as ctx allows, which is the probe's timeout.
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

func askTCP(ctx context.Context, to netip.AddrPort) error {
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// explain makes of an error one for a user, which is the same for each pod and
// each time: it names no addresses, which are known, and no ports of connections.
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

// ours says whether an error is of this process or its machine, and no pod is to
// blame for it.
func ours(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
