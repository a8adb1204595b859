package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// program is a program of the control plane, and where its source is.
type program struct {
	name       string
	module     string // the directory in e2e/tools whose go.mod has its version
	path       string
	firstBuild string // how long it takes on 2 cores while nothing is compiled
}

const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kubectl           = "kubectl"
	kwok              = "kwok"
)

// programs are ordered so that each build profits from the ones before.
var programs = []program{
	{etcd, "kubernetes", "go.etcd.io/etcd/server/v3", "1 minute"},
	{apiServer, "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "7 minutes"},
	{controllerManager, "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", "90 seconds"},
	{scheduler, "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", "15 seconds"},
	{kubectl, "kubernetes", "k8s.io/kubernetes/cmd/kubectl", "30 seconds"},
	{kwok, "kwok", "sigs.k8s.io/kwok/cmd/kwok", "3 minutes"},
}

// Programs are the paths of the built programs, by their names.
type Programs map[string]string

// Build builds the programs that are not in the cache yet, and tells progress
// how far it is. That takes about 15 minutes on 2 cores the first time; call it
// before tests that have a time limit.
func Build(ctx context.Context, progress io.Writer) (Programs, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	tools, err := toolsDir(ctx)
	if err != nil {
		return nil, err
	}
	modules := map[string]*toolModule{}
	built := Programs{}
	for _, p := range programs {
		module := modules[p.module]
		if module == nil {
			if module, err = loadToolModule(ctx, filepath.Join(tools, p.module), filepath.Join(cache, "bin")); err != nil {
				return nil, err
			}
			modules[p.module] = module
		}
		if built[p.name], err = module.build(ctx, p, progress); err != nil {
			return nil, fmt.Errorf("build %s: %w", p.name, err)
		}
	}
	return built, nil
}

// build builds one program of the module, unless somebody did already.
func (m *toolModule) build(ctx context.Context, p program, progress io.Writer) (string, error) {
	path := filepath.Join(m.bin, p.name)
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(m.bin, 0o755); err != nil {
		return "", err
	}
	locked, err := lock(ctx, filepath.Join(m.bin, "lock"), func() {
		report(progress, "%s: waiting for another process that builds", p.name)
	})
	if err != nil {
		return "", err
	}
	defer locked.release()
	if exists(path) {
		return path, nil
	}

	// A directory of our own for what go build drops when it is killed.
	temp := filepath.Join(m.bin, "tmp")
	if err := os.RemoveAll(temp); err != nil {
		return "", err
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return "", err
	}

	output := &strings.Builder{}
	unfinished := filepath.Join(temp, p.name)
	cmd := m.goCommand(ctx, append(append([]string{"build"}, m.flags...), "-o", unfinished, p.path)...)
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOTMPDIR="+temp)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = dieWithParent(syscall.SIGINT)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	report(progress, "%s: building; about %s the first time", p.name, p.firstBuild)
	if err := runTicking(cmd, p.name, progress); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, errors.Join(os.Rename(unfinished, path), os.RemoveAll(temp))
}

// runTicking runs a build and says every now and then that it still runs.
func runTicking(cmd *exec.Cmd, name string, progress io.Writer) error {
	start := time.Now()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see dieWithParent
		done <- cmd.Run()
	}()
	ticker := time.NewTicker(15 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				report(progress, "%s: built in %s", name, time.Since(start).Round(time.Second))
			}
			return err
		case <-ticker.C:
			report(progress, "%s: building, %s", name, time.Since(start).Round(time.Second))
		}
	}
}

// report tells progress a line; that nobody hears it is no reason to stop.
func report(progress io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(progress, format+"\n", args...)
}
