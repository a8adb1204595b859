package nodeprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// connections are open connections to kubelets, one to each. A kubelet logs a line for each that
// is closed before it has said anything, so that one is held open and its kernel asks the other
// one each interval (TCP keep-alive). That costs a packet each way, and nothing of a kubelet.
type connections struct {
	dialer net.Dialer
	lock   sync.Mutex
	open   map[string]*net.TCPConn
}

func newConnections() *connections {
	return &connections{
		// The probes go on for longer than a node is silent: Held says when that is too long.
		dialer: net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: interval, Interval: interval, Count: 100}},
		open:   map[string]*net.TCPConn{},
	}
}

// Held implements Network.
func (c *connections) Held(node string, now time.Time) (at time.Time, is bool) {
	c.lock.Lock()
	conn := c.open[node]
	c.lock.Unlock()
	if conn == nil {
		return at, false
	}
	age, open := heard(conn)
	if !open {
		c.Release(node)
		return at, false
	}
	return now.Add(-age), age <= interval+slack
}

// Connect implements Network.
func (c *connections) Connect(ctx context.Context, node string, to netip.AddrPort) error {
	conn, err := c.dialer.DialContext(ctx, "tcp", to.String())
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		return err
	}
	tcp, is := conn.(*net.TCPConn)
	if !is {
		return conn.Close()
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if before := c.open[node]; before != nil {
		reset(before)
	}
	c.open[node] = tcp
	return nil
}

// Release implements Network.
func (c *connections) Release(node string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if conn := c.open[node]; conn != nil {
		delete(c.open, node)
		reset(conn)
	}
}

// reset closes a connection without waiting for the other side, which may be dead.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
