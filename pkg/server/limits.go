package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// Any pod of the cluster can connect. What all connections take together is bounded by these.
const (
	// maxConnections is how many connections are open. Beyond it the oldest is closed, so that
	// kubelet is answered however many others hang.
	maxConnections = 128
	// sendBuffer is how many bytes of an answer the kernel keeps for a client that does not read.
	sendBuffer = 32 << 10
	// maxHeader is how many bytes the header of a request may have.
	maxHeader = 8 << 10
	// maxScrapes is how many requests for metrics are answered at a time.
	maxScrapes = 4
)

// limited is a listener that keeps at most maxConnections open.
type limited struct {
	net.Listener
	lock sync.Mutex
	// open are the connections, the oldest first.
	open *list.List
}

func limit(l net.Listener) *limited { return &limited{Listener: l, open: list.New()} }

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, is := conn.(*net.TCPConn); is {
		// It is a hint.
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
	accepted := &accepted{Conn: conn, from: l}
	l.lock.Lock()
	accepted.at = l.open.PushBack(accepted)
	var oldest net.Conn
	if l.open.Len() > maxConnections {
		oldest = l.open.Front().Value.(net.Conn)
	}
	l.lock.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	return accepted, nil
}

type accepted struct {
	net.Conn
	from *limited
	at   *list.Element
}

func (a *accepted) Close() error {
	a.from.lock.Lock()
	a.from.open.Remove(a.at)
	a.from.lock.Unlock()
	return a.Conn.Close()
}

// atOnce lets the handler answer so many requests at a time.
func atOnce(most int, handler http.Handler) http.Handler {
	answering := make(chan struct{}, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case answering <- struct{}{}:
			defer func() { <-answering }()
			handler.ServeHTTP(w, r)
		default:
			http.Error(w, "too many requests for metrics at a time", http.StatusServiceUnavailable)
		}
	})
}
