package nodeprobe

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// listen accepts connections at a port of this machine, and shows them.
func listen(tb testing.TB) (to netip.AddrPort, accepted chan net.Conn, stop func()) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	accepted = make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	tb.Cleanup(func() { listener.Close() })
	return netip.MustParseAddrPort(listener.Addr().String()), accepted, func() { listener.Close() }
}

// A connection is held, so that a kubelet is not asked anew each second.
func TestConnectionIsHeld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("connections are held on Linux alone")
	}
	c := newConnections()
	to, accepted, _ := listen(t)
	if _, held := c.Held("a", time.Now()); held {
		t.Error("a connection is held that was not opened")
	}
	if err := c.Connect(t.Context(), "a", to); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	at, held := c.Held("a", now)
	if age := now.Sub(at); !held || age < 0 || age > interval {
		t.Errorf("the connection is held: %t; its sign of life is %s old", held, age)
	}
	// The node lets go of it, as a kubelet does that ends.
	if err := (<-accepted).Close(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, held := c.Held("a", time.Now()); !held {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the connection is held after it has ended")
		case <-time.After(time.Millisecond):
		}
	}
	if err := c.Connect(t.Context(), "a", to); err != nil {
		t.Errorf("connecting again: %v", err)
	}
	c.Release("a")
	if _, held := c.Held("a", time.Now()); held {
		t.Error("a connection is held that was released")
	}
}

// A node behind a slow network answers over its connection, although a new one would take too long.
func TestConnectionOfASlowNodeIsHeld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("connections are held on Linux alone")
	}
	c := newConnections()
	// Its kernel is not asked, so that nothing comes until the node says something.
	c.dialer.KeepAliveConfig.Enable, c.dialer.KeepAlive = false, -1
	to, accepted, _ := listen(t)
	if err := c.Connect(t.Context(), "a", to); err != nil {
		t.Fatal(err)
	}
	defer c.Release("a")
	node := <-accepted
	defer node.Close()
	<-time.After(interval + 2*slack)
	now := time.Now()
	if at, held := c.Held("a", now); held || at.IsZero() || now.Sub(at) <= interval+slack {
		t.Errorf("after a silence the connection is held: %t; its sign of life is %s old", held, now.Sub(at))
	}
	if _, err := node.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, held := c.Held("a", time.Now()); held {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Error("the connection is not held, although the node has answered over it")
}

// A node that refuses a connection lives.
func TestRefusal(t *testing.T) {
	c := newConnections()
	to, _, stop := listen(t)
	stop()
	if err := c.Connect(t.Context(), "a", to); err != nil {
		t.Errorf("error %v of a refusal", err)
	}
	if _, held := c.Held("a", time.Now()); held {
		t.Error("a connection is held that was refused")
	}
}

// A connection that is not answered in time is none.
func TestNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newConnections().Connect(ctx, "a", netip.MustParseAddrPort("127.0.0.1:1")); err == nil {
		t.Error("no error without an answer")
	}
}
