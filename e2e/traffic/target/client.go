package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// repeat asks at a steady rate, and writes each result when it is there. It does
// not wait for answers; or, if it waits, it asks later when one is late.
func repeat(ctx context.Context, out io.Writer, every, timeout time.Duration, waits bool, ask func(context.Context, *record.Request) error) error {
	var lock sync.Mutex
	lines := json.NewEncoder(out)
	once := func(number int) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		r := record.Request{Number: number, Sent: time.Now()}
		if err := ask(ctx, &r); err != nil {
			r.Error = err.Error()
		}
		r.Done = time.Now()
		lock.Lock()
		defer lock.Unlock()
		_ = lines.Encode(r) // nobody is there to be told
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if waits {
			once(number)
		} else {
			go once(number)
		}
	}
}

// request asks over a new connection, as that is what kube-proxy decides on.
//
// To connect takes no longer than timeout: the transport goes on with it when the
// request is over, and would use a connection to where the Service once led.
func request(url string, timeout time.Duration) func(context.Context, *record.Request) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: newPorts(timeout)}}
	return func(ctx context.Context, r *record.Request) error {
		query, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(query)
		if err != nil {
			return err
		}
		status, body, err := read(response)
		if err != nil {
			return err
		}
		return answer(status, body, r)
	}
}

// read reads an answer to its end.
func read(response *http.Response) (status int, body []byte, err error) {
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// answer takes who has answered from it.
func answer(status int, body []byte, r *record.Request) error {
	// Also who cannot serve says who it is.
	err := json.Unmarshal(body, &r.Answer)
	if status != http.StatusOK {
		return fmt.Errorf("status %d %s", status, http.StatusText(status))
	}
	return err
}

// newPorts dials from a port of its own each time. The kernel would use ports
// again, and the nodes' connection tracking leads what comes from the port of an
// unanswered connection to the same dead endpoint for two minutes, wherever the
// Service leads by then (nf_conntrack_tcp_timeout_syn_sent).
func newPorts(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	const first, last = 10_000, 65_535
	var next atomic.Uint32
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		for {
			port := first + int(next.Add(1))%(last-first+1)
			dialer := net.Dialer{Timeout: timeout, LocalAddr: &net.TCPAddr{Port: port}}
			connection, err := dialer.DialContext(ctx, network, address)
			if errors.Is(err, syscall.EADDRINUSE) {
				continue // somebody else's
			}
			return connection, err
		}
	}
}

// lookup resolves a name as the pod's /etc/resolv.conf says.
func lookup(name string) func(context.Context, *record.Request) error {
	return func(ctx context.Context, r *record.Request) (err error) {
		r.Addresses, err = net.DefaultResolver.LookupHost(ctx, name)
		slices.Sort(r.Addresses)
		return err
	}
}
