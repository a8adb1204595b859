package local

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// supervisor is a supervisor process as its parent sees it.
type supervisor struct {
	dir     string
	stop    func() error
	stopped chan struct{}
}

// startSupervisor starts a supervisor and waits until its control plane works.
func startSupervisor(ctx context.Context, order order) (*supervisor, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "supervise") // for people who read ps; ignored
	cmd.Env = append(os.Environ(), supervisorEnv+"="+string(text))
	// A session of its own, so that Ctrl-C reaches the parent alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}

	ready := make(chan string, 1)
	s := &supervisor{stopped: make(chan struct{})}
	var failure error
	go func() {
		defer close(s.stopped)
		defer close(ready)
		failure = follow(stdout, ready)
		if err := cmd.Wait(); err != nil && failure == nil {
			failure = fmt.Errorf("supervisor: %w", err)
		}
	}()
	s.stop = func() error {
		_ = lifeline.Close()
		<-s.stopped
		return errors.Join(failure, sweepStale(context.WithoutCancel(ctx)))
	}
	select {
	case s.dir = <-ready:
	case <-ctx.Done():
		failure := s.stop()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err() // the caller gave up, so what was missing does not matter
		}
		return nil, errors.Join(ctx.Err(), failure)
	}
	if s.dir == "" {
		return nil, cmp.Or(s.stop(), errors.New("it was stopped"))
	}
	return s, nil
}

// follow reads what a supervisor prints: the state directory once the control
// plane works, and later why it stopped.
func follow(stdout io.Reader, ready chan<- string) error {
	var rest []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if dir, ok := strings.CutPrefix(lines.Text(), readyLine); ok {
			ready <- dir
		} else {
			rest = append(rest, lines.Text())
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return errors.New(strings.Join(rest, "\n"))
}
