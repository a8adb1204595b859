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

// repeat sends requests at a steady rate, and writes the record of each when it is
// done. It does not wait for answers, unless waits is true: then a late answer
// delays the next request.
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
		_ = lines.Encode(r) // there is no other place to report it
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

// request sends each request over a new connection, because kube-proxy chooses a pod
// for each connection.
//
// Connecting takes no longer than timeout. Otherwise the transport would go on
// connecting after the request is over, and use the connection, to wherever the
// Service led then, for a later request.
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

// answer fills in the record from the answer.
func answer(status int, body []byte, r *record.Request) error {
	// A server that cannot serve identifies itself too.
	err := json.Unmarshal(body, &r.Answer)
	if status != http.StatusOK {
		return fmt.Errorf("status %d %s", status, http.StatusText(status))
	}
	return err
}

// newPorts returns a dialer that uses a new local port each time. The kernel would
// reuse ports. For two minutes (nf_conntrack_tcp_timeout_syn_sent) the nodes'
// connection tracking leads a connection from the port of an unanswered one to the
// same dead endpoint, wherever the Service leads by then.
func newPorts(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	const first, last = 10_000, 65_535
	var next atomic.Uint32
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		for {
			port := first + int(next.Add(1))%(last-first+1)
			dialer := net.Dialer{Timeout: timeout, LocalAddr: &net.TCPAddr{Port: port}}
			connection, err := dialer.DialContext(ctx, network, address)
			if errors.Is(err, syscall.EADDRINUSE) {
				continue // another program has the port
			}
			return connection, err
		}
	}
}

// lookup resolves a name with the pod's /etc/resolv.conf.
func lookup(name string) func(context.Context, *record.Request) error {
	return func(ctx context.Context, r *record.Request) (err error) {
		r.Addresses, err = net.DefaultResolver.LookupHost(ctx, name)
		slices.Sort(r.Addresses)
		return err
	}
}
