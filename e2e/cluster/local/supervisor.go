package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"

	"k8s.io/client-go/rest"
)

// A supervisor is a process that owns the programs of one control plane. It is not
// the one that asked for the control plane, since that may be killed, or be a test
// binary that panics at its time limit, and could then not clean up. The supervisor
// notices by the end of its standard input, which is a pipe from its parent.
//
// It is the importing program itself, started once more with supervisorEnv set, as
// any other program would have to be built and found first. That is why this
// package takes over in init, before main or a test's flags get to see anything.
const supervisorEnv = "ACTIVE_STANDBY_CONTROLLER_LOCAL_SUPERVISOR"

// order is what supervisorEnv holds.
type order struct {
	Name     string // of the state directory; without one it gets any
	Detached bool   // once ready, outlive the parent and stop at a signal only
	Nodes    int
	Port     int // to try first, if not 0
	Programs Programs
}

// readyLine is what a supervisor prints, followed by the state directory, once the
// control plane works. Whatever else it prints is why it stopped.
const readyLine = "ready "

func init() {
	if text, ok := os.LookupEnv(supervisorEnv); ok {
		os.Exit(supervisorMain(text))
	}
}

func supervisorMain(text string) int {
	// For dieWithParent: the main goroutine starts all programs, and returns last.
	runtime.LockOSThread()
	// Whoever reads our output may be gone by the time we print.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var order order
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		fmt.Println(err)
		return 2
	}
	var released atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		if !released.Load() {
			stop()
		}
	}()
	ready := func(dir string) {
		released.Store(order.Detached)
		fmt.Println(readyLine + dir)
	}
	if err := supervise(ctx, order, ready); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// supervise runs a control plane until ctx is done, which is no error, or one of
// its programs ends. It leaves nothing behind.
func supervise(ctx context.Context, order order, ready func(dir string)) (err error) {
	state, err := newState(ctx, order.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.remove(context.WithoutCancel(ctx))) }()
	port := order.Port
	for range 3 {
		if port == 0 {
			if port, err = freePort(); err != nil {
				return err
			}
		}
		err = runControlPlane(ctx, state.dir, port, order, ready)
		if !errors.Is(err, errPortTaken) {
			break
		}
		port = 0
	}
	return err
}

func runControlPlane(ctx context.Context, dir string, port int, order order, ready func(dir string)) error {
	running, exited := context.WithCancelCause(ctx)
	plane := &controlPlane{dir: dir, programs: order.Programs, exited: exited}
	defer plane.kill()
	admin, err := plane.start(running, port, order.Nodes)
	if err == nil {
		err = publish(dir, admin)
	}
	if err == nil {
		ready(dir)
		<-running.Done()
	}
	if running.Err() != nil && ctx.Err() == nil {
		return context.Cause(running)
	}
	return err
}

// publish writes the admin's kubeconfig, at once.
func publish(dir string, admin *rest.Config) error {
	unfinished := kubeconfigFile(dir) + ".tmp"
	if err := writeKubeconfig(unfinished, admin); err != nil {
		return err
	}
	return os.Rename(unfinished, kubeconfigFile(dir))
}

// kubeconfigFile is the admin's. That it exists says that the control plane works.
func kubeconfigFile(dir string) string { return filepath.Join(dir, "kubeconfig") }
