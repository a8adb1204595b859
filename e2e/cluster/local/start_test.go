//go:build integration

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTwoAtOnce(t *testing.T) {
	var planes [2]*Plane
	var errs [2]error
	var starts sync.WaitGroup
	for i := range planes {
		starts.Go(func() { planes[i], errs[i] = Start(t.Context(), Options{Nodes: i + 1}) })
	}
	starts.Wait()
	for i, plane := range planes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(func() { _ = plane.Stop() })
		if got := kubectlNodes(t, plane); got != i+1 {
			t.Errorf("control plane %d has %d nodes, want %d", i, got, i+1)
		}
	}
	if err := planes[0].Stop(); err != nil {
		t.Error(err)
	}
	if got := kubectlNodes(t, planes[1]); got != 2 {
		t.Errorf("control plane 1 has %d nodes after control plane 0 was stopped, want 2", got)
	}
}

func TestTakenPort(t *testing.T) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	taken := listener.Addr().(*net.TCPAddr).Port
	plane := startPlane(t, Options{Nodes: 1, port: taken})
	if strings.HasSuffix(plane.Admin.Config.Host, ":"+strconv.Itoa(taken)) {
		t.Error("the API server listens on the port that was taken")
	}
}

func TestFailedStart(t *testing.T) {
	for _, program := range []string{etcd, apiServer, controllerManager, scheduler, kwok} {
		t.Run(program, func(t *testing.T) {
			name, dir := ownName(t)
			_, err := start(t.Context(), Options{programs: replaced(t, program, "echo I cannot >&2; exit 3")}, order{Name: name})
			want := program + " exited with status 3; its last lines:\nI cannot"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if exists(dir) {
				t.Error("the state directory is left")
			}
		})
	}
}

func TestStartThatTakesTooLong(t *testing.T) {
	programs := replaced(t, kwok, "echo I sleep; exec sleep 60")
	name, dir := ownName(t)
	// It must get as far as kwok, however slow the machine is.
	began := time.Now()
	startPlane(t, Options{Nodes: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Since(began))
	defer cancel()
	_, err := start(ctx, Options{programs: programs}, order{Name: name})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	for _, want := range []string{"wait for 3 of 3 nodes", "the last lines of kwok:\nI sleep\n"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want also %q", err, want)
		}
	}
	if exists(dir) {
		t.Error("the state directory is left")
	}
}

func TestUpAndDown(t *testing.T) {
	name, _ := ownName(t)
	t.Cleanup(func() { _, _ = Down(context.Background(), name) })
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), upEnv+"="+name)
	if output, err := other.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	plane, wasUp, err := Up(t.Context(), name, Options{})
	if err != nil || !wasUp {
		t.Fatalf("up again: %v, %v", wasUp, err)
	}
	supervisor := supervisorPID(t, plane.Dir)
	if got := kubectlNodes(t, plane); got != 1 {
		t.Errorf("the control plane has %d nodes, want 1", got)
	}
	if wasUp, err := Down(t.Context(), name); err != nil || !wasUp {
		t.Errorf("down: %v, %v", wasUp, err)
	}
	eventuallyGone(t, supervisor, plane.Dir)
	if wasUp, err := Down(t.Context(), name); err != nil || wasUp {
		t.Errorf("down again: %v, %v", wasUp, err)
	}
}

// replaced returns the programs, one of them replaced by a shell script.
func replaced(t *testing.T, program, script string) Programs {
	t.Helper()
	programs, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	programs[program] = filepath.Join(t.TempDir(), program)
	if err := os.WriteFile(programs[program], []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return programs
}

// ownName returns a name that no other process uses, and its state directory.
func ownName(t *testing.T) (name, dir string) {
	t.Helper()
	name = fmt.Sprintf("test-%d", os.Getpid())
	dir, err := namedDir(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, dir
}

func startPlane(t *testing.T, options Options) *Plane {
	t.Helper()
	plane, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	return plane
}

func kubectlNodes(t *testing.T, plane *Plane) int {
	t.Helper()
	output, err := exec.Command(plane.Kubectl, "--kubeconfig", plane.Admin.Kubeconfig, "get", "nodes", "-o", "name").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return bytes.Count(output, []byte("\n"))
}
