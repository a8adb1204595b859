package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"qoqo.dev/active-standby-controller/e2e/target/record"
)

// repeat asks at a steady rate, not waiting for answers, and prints each result
// when it is there.
func repeat(ctx context.Context, every, timeout time.Duration, ask func(context.Context, *record.Request) error) error {
	var lock sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		go func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			r := record.Request{Sent: time.Now()}
			if err := ask(ctx, &r); err != nil {
				r.Error = err.Error()
			}
			r.Done = time.Now()
			lock.Lock()
			defer lock.Unlock()
			_ = lines.Encode(r) // nobody is there to be told
		}()
	}
}

// request asks over a new connection, as that is what kube-proxy decides on.
func request(url string) func(context.Context, *record.Request) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context, r *record.Request) error {
		query, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(query)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return json.NewDecoder(response.Body).Decode(&r.Answer)
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
