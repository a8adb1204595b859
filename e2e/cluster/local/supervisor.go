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

// A supervisor is a process that owns the programs of one control plane. It is a
// child of the process that asked for the control plane. That process may be
// killed, or be a test binary that panics at its time limit, and could then not
// clean up. The supervisor notices when its standard input, a pipe from its parent,
// ends.
//
// The supervisor is the importing program itself, started once more with
// supervisorEnv set, because any other program would first have to be built and
// found. This package therefore takes over in init, before main and before a test
// parses its flags.
const supervisorEnv = "ACTIVE_STANDBY_CONTROLLER_LOCAL_SUPERVISOR"

// order tells a supervisor what to run. supervisorEnv holds it as JSON.
type order struct {
	Name     string // of the state directory; any unused one if empty
	Detached bool   // once ready, outlive the parent and stop only at a signal
	Nodes    int
	Tireless bool
	Port     int // to try first, if not 0
	Programs Programs
}

// readyLine begins the line that a supervisor prints once the control plane works.
// The state directory follows. Everything else that it prints says why it stopped.
const readyLine = "ready "

func init() {
	if text, ok := os.LookupEnv(supervisorEnv); ok {
		os.Exit(supervisorMain(text))
	}
}

func supervisorMain(text string) int {
	// For dieWithParent: the main goroutine starts all programs and ends last.
	runtime.LockOSThread()
	// The parent, which reads the output, may be gone by then.
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
	admin, err := plane.start(running, port, order.Nodes, order.Tireless)
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

// publish writes the admin's kubeconfig. It appears at once, never half written.
func publish(dir string, admin *rest.Config) error {
	unfinished := kubeconfigFile(dir) + ".tmp"
	if err := writeKubeconfig(unfinished, admin); err != nil {
		return err
	}
	return os.Rename(unfinished, kubeconfigFile(dir))
}

// kubeconfigFile is the path of the admin's kubeconfig, which exists once the
// control plane works.
func kubeconfigFile(dir string) string { return filepath.Join(dir, "kubeconfig") }
