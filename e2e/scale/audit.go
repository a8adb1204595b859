package scale

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
)

// audit counts the requests of the controller, all replicas, in the API server's audit log.
type audit struct {
	lock sync.Mutex
	// ended counts the requests that have ended, by verb and resource, without watches.
	ended map[string]int
	// latest is when the last of them was read.
	latest time.Time
	// watching are the watches that are open, by their id.
	watching map[string]bool
}

var user = "system:serviceaccount:" + install.Namespace + ":" + install.ServiceAccount

// entry is a line of the audit log.
type entry struct {
	AuditID, Stage, Verb string
	User                 struct{ Username string }
	ObjectRef            struct{ Resource, Subresource string }
}

// follow counts from now on. It calls failed if the log cannot be read.
func follow(ctx context.Context, path string, failed context.CancelCauseFunc) (*audit, error) {
	log, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &audit{ended: map[string]int{}, watching: map[string]bool{}}
	go func() {
		if err := a.read(ctx, log); err != nil {
			failed(fmt.Errorf("the audit log: %w", err))
		}
	}()
	return a, nil
}

// read reads until ctx is done.
func (a *audit) read(ctx context.Context, log *os.File) error {
	defer func() { _ = log.Close() }()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	lines := bufio.NewReaderSize(log, 1<<20)
	var line []byte
	for {
		part, err := lines.ReadBytes('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			if err := a.count(line); err != nil {
				return err
			}
			line = line[:0]
			continue
		case !errors.Is(err, io.EOF):
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *audit) count(line []byte) error {
	if !bytes.Contains(line, []byte(user)) {
		return nil // most of them
	}
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if e.User.Username != user {
		return nil
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	switch {
	case e.Verb != "watch" && e.Stage == "ResponseComplete":
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		a.ended[e.Verb+" "+resource]++
		a.latest = time.Now()
	case e.Verb == "watch" && e.Stage == "ResponseStarted":
		a.watching[e.AuditID] = true
	case e.Verb == "watch":
		delete(a.watching, e.AuditID)
	}
	return nil
}

// requests returns the counts so far.
func (a *audit) requests() map[string]int {
	a.lock.Lock()
	defer a.lock.Unlock()
	return maps.Clone(a.ended)
}

// since returns the counts since before, and those alone that are not zero.
func since(before, now map[string]int) map[string]int {
	counts := map[string]int{}
	for request, n := range now {
		if n > before[request] {
			counts[request] = n - before[request]
		}
	}
	return counts
}

// quiet returns for how long no request has ended.
func (a *audit) quiet() time.Duration {
	a.lock.Lock()
	defer a.lock.Unlock()
	return time.Since(a.latest)
}

// open returns the number of open watches.
func (a *audit) open() int {
	a.lock.Lock()
	defer a.lock.Unlock()
	return len(a.watching)
}
