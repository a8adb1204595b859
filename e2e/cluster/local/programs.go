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
	"slices"
	"strings"
	"syscall"
	"time"
)

// program is a program of the control plane, and the package it is built from.
type program struct {
	name       string
	module     string // the directory in e2e/tools whose go.mod pins its version
	path       string
	firstBuild string // how long it takes on 2 cores with nothing compiled yet
}

const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kubectl           = "kubectl"
	kwok              = "kwok"
)

// programs are ordered so that each build reuses what earlier ones have compiled.
var programs = []program{
	{etcd, "kubernetes", "go.etcd.io/etcd/server/v3", "1 minute"},
	{apiServer, "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "7 minutes"},
	{controllerManager, "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", "90 seconds"},
	{scheduler, "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", "15 seconds"},
	{kubectl, "kubernetes", "k8s.io/kubernetes/cmd/kubectl", "30 seconds"},
	{kwok, "kwok", "sigs.k8s.io/kwok/cmd/kwok", "3 minutes"},
}

// tools are programs that some tests alone need.
var tools = []program{
	{"helm3", "helm3", "helm.sh/helm/v3/cmd/helm", "2 minutes"},
	{"helm4", "helm4", "helm.sh/helm/v4/cmd/helm", "2 minutes"},
	{"flux", "flux", ".", "2 minutes"},
}

// BuildTools builds the programs that apply manifests (helm3, helm4, flux), or those of them that are
// named, as Build does. Nothing of the control plane needs them.
func BuildTools(ctx context.Context, progress io.Writer, names ...string) (Programs, error) {
	wanted := slices.DeleteFunc(slices.Clone(tools), func(p program) bool {
		return len(names) > 0 && !slices.Contains(names, p.name)
	})
	return build(ctx, wanted, progress)
}

// Programs are the paths of the built programs, by their names.
type Programs map[string]string

// Build builds the programs that are not in the cache yet, and writes lines about
// it to progress. The first time takes about 15 minutes on 2 cores: call it before
// tests that have a time limit.
func Build(ctx context.Context, progress io.Writer) (Programs, error) {
	return build(ctx, programs, progress)
}

func build(ctx context.Context, programs []program, progress io.Writer) (Programs, error) {
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

// build builds one program of the module, unless it is in the cache.
func (m *toolModule) build(ctx context.Context, p program, progress io.Writer) (string, error) {
	path := filepath.Join(m.bin, p.name)
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(m.bin, 0o755); err != nil {
		return "", err
	}
	locked, err := lock(ctx, filepath.Join(m.bin, "lock"), func() {
		report(progress, "%s: waiting for a build of another process", p.name)
	})
	if err != nil {
		return "", err
	}
	defer locked.release()
	if exists(path) {
		return path, nil
	}

	// Its own directory, because a killed go build leaves files behind.
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

// runTicking runs a build and says every 15 seconds that it still runs.
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

// report writes a line to progress. A failure to write is no reason to stop.
func report(progress io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(progress, format+"\n", args...)
}
