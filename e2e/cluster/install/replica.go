package install

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Replica is a running controller.
type Replica struct {
	// Address is the host and port of /livez, /readyz and /metrics.
	Address string
	// Log is the path of its log, in JSON.
	Log string

	cmd    *exec.Cmd
	exited chan struct{}
}

// startTimeout is how long a replica may take to log that it has started.
const startTimeout = time.Minute

// Start starts a replica and returns once it has started. Usually server is empty.
// Otherwise it is the address of a proxy that the replica uses in place of the API
// server. The proxy must add the credentials.
func (i *Installation) Start(ctx context.Context, name, server string) (*Replica, error) {
	kubeconfig := i.User.Kubeconfig
	if server != "" {
		kubeconfig = filepath.Join(i.dir, name+".kubeconfig")
		minimal := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c}}]}`, server)
		if err := os.WriteFile(kubeconfig, []byte(minimal), 0o600); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r := &Replica{Log: filepath.Join(i.dir, name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(r.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// The Deployment has the same arguments, but for the kubeconfig and the port.
	r.cmd = exec.Command(i.program, append([]string{
		"--kubeconfig", kubeconfig, "--http-endpoint=127.0.0.1:0", "--logging-format=json", "--v=2",
		// Pods of kwok have no addresses but those of this machine.
		"--probe-any-address",
		// Tests look for one election among many.
		"--election-metrics=100000",
	}, i.Args...)...)
	r.cmd.Env = append(os.Environ(), i.environment...)
	r.cmd.SysProcAttr = childAttributes()
	lines, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	started, starting := make(chan struct{}), make(chan error)
	go func() {
		defer close(r.exited)
		defer log.Close()
		// For childAttributes: the thread must live as long as the replica.
		runtime.LockOSThread()
		err := r.cmd.Start()
		starting <- err
		if err == nil {
			r.follow(io.TeeReader(lines, log), sync.OnceFunc(func() { close(started) }))
			_ = r.cmd.Wait()
		}
	}()
	if err := <-starting; err != nil {
		return nil, fmt.Errorf("starting replica %s: %w", name, err)
	}
	select {
	case <-started:
		return r, nil
	case <-r.exited:
		text, _ := os.ReadFile(r.Log)
		return nil, fmt.Errorf("replica %s ended: %s", name, text)
	case <-ctx.Done():
		r.Kill()
		return nil, fmt.Errorf("replica %s has not started: %w", name, context.Cause(ctx))
	}
}

// follow reads the log. It takes the address from it, and calls started once the
// log says "Started".
func (r *Replica) follow(log io.Reader, started func()) {
	scanner := bufio.NewScanner(log)
	for scanner.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			continue
		}
		// Later lines have addresses of pods.
		if r.Address == "" {
			r.Address = line.Address
		}
		if line.Msg == "Started" {
			started()
		}
	}
}

// Stop asks the replica to end, with SIGTERM, and waits until it has ended.
func (r *Replica) Stop() { r.signal(syscall.SIGTERM) }

// Kill ends the replica at once, with SIGKILL, and waits until it has ended.
func (r *Replica) Kill() { r.signal(syscall.SIGKILL) }

// Freeze stops the replica until Thaw, as a machine does that is suspended. Its
// connections stay. Only Kill ends it meanwhile.
func (r *Replica) Freeze() error { return r.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets the replica go on after Freeze.
func (r *Replica) Thaw() error { return r.cmd.Process.Signal(syscall.SIGCONT) }

func (r *Replica) signal(s os.Signal) {
	// An error means that it has already ended.
	_ = r.cmd.Process.Signal(s)
	<-r.exited
}

// PID returns the id of the replica's process.
func (r *Replica) PID() int { return r.cmd.Process.Pid }

// Exited returns a channel that is closed when the replica has ended.
func (r *Replica) Exited() <-chan struct{} { return r.exited }
