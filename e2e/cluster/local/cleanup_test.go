//go:build integration

package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Each of these turns the test binary into another program. With startEnv it starts
// a control plane, prints its directory, and waits to be killed. With upEnv it
// brings up the control plane of that name, and ends.
const (
	startEnv = "LOCAL_TEST_START"
	upEnv    = "LOCAL_TEST_UP"
)

func TestMain(m *testing.M) {
	ctx := context.Background()
	if os.Getenv(startEnv) != "" {
		plane, err := Start(ctx, Options{Nodes: 1})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(plane.Dir)
		select {}
	}
	if name := os.Getenv(upEnv); name != "" {
		if _, _, err := Up(ctx, name, Options{Nodes: 1}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestStopLeavesNothing(t *testing.T) {
	plane := startPlane(t, Options{Nodes: 1})
	supervisor := supervisorPID(t, plane.Dir)
	if err := plane.Stop(); err != nil {
		t.Fatal(err)
	}
	if processesOf(supervisor) {
		t.Error("a process is still running")
	}
	if exists(plane.Dir) {
		t.Error("the state directory is left")
	}
	if err := plane.Stop(); err != nil {
		t.Errorf("stop once more: %v", err)
	}
}

func TestKilledParentLeavesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), startEnv+"=1")
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			dir, _ := bufio.NewReader(stdout).ReadString('\n')
			dir = strings.TrimSpace(dir)
			supervisor := supervisorPID(t, dir)
			if err := parent.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait()
			eventuallyGone(t, supervisor, dir)
		})
	}
}

// The programs of a killed supervisor end with it. Its directory is removed by the
// next start or stop of any control plane.
func TestKilledSupervisorLeavesNothing(t *testing.T) {
	plane := startPlane(t, Options{Nodes: 1})
	supervisor := supervisorPID(t, plane.Dir)
	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-plane.Stopped()
	if !exists(plane.Dir) {
		t.Fatal("the state directory is gone, so the sweep has nothing to remove")
	}
	if err := sweepStale(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventuallyGone(t, supervisor, plane.Dir)
	if err := plane.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("stop: %v, want the signal", err)
	}
}

func TestProgramThatEnds(t *testing.T) {
	// Nothing here needs the scheduler.
	programs := replaced(t, scheduler, "while [ ! -e end ]; do sleep 0.1; done; echo I end; exit 3")
	plane := startPlane(t, Options{Nodes: 1, programs: programs})
	supervisor := supervisorPID(t, plane.Dir)
	if err := os.WriteFile(filepath.Join(plane.Dir, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-plane.Stopped()
	want := scheduler + " exited with status 3; its last lines:\nI end"
	if err := plane.Stop(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	eventuallyGone(t, supervisor, plane.Dir)
}

func supervisorPID(t *testing.T, dir string) int {
	t.Helper()
	supervisor, err := supervisorOf(t.Context(), dir)
	if err != nil || supervisor == 0 {
		t.Fatalf("no supervisor in %s: %v", dir, err)
	}
	return supervisor
}

// processesOf reports whether any process of a control plane is alive. All of them
// are in the supervisor's process group.
func processesOf(supervisor int) bool {
	return !errors.Is(syscall.Kill(-supervisor, 0), syscall.ESRCH)
}

func eventuallyGone(t *testing.T, supervisor int, dir string) {
	t.Helper()
	eventually(t, "no process and no state directory", func() bool {
		return !processesOf(supervisor) && !exists(dir)
	})
}
