package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is a running program of the control plane.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts a program in the state directory, and calls exited when it
// ends. Only the supervisor's main goroutine may call it (see dieWithParent).
func startProcess(dir, name, path string, args []string, exited func(error)) (*process, error) {
	log, err := os.Create(logFile(dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the program has its own descriptor
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	// Nothing of the user's environment: variables such as ETCD_… and KWOK_… act as flags.
	cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent(syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := os.WriteFile(programPidFile(dir, name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// The error adds nothing to the state, which exitError describes.
		_ = cmd.Wait()
		exited(exitError(name, cmd.ProcessState, log.Name()))
	}()
	return p, nil
}

func logFile(dir, program string) string { return filepath.Join(dir, program+".log") }

// programPidFile is the path of a file with the pid of a program that was started.
func programPidFile(dir, program string) string { return filepath.Join(dir, program+".pid") }

// kill ends the process at once and waits until it has ended. Its state is thrown
// away, so it has nothing to save.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if it has ended
	<-p.done
}

// errPortTaken says that another program took the API server's port after freePort
// had found it free.
var errPortTaken = errors.New("another program took the port")

// exitError says how a program ended, with the last lines of its log.
func exitError(name string, state *os.ProcessState, logPath string) error {
	how := "was ended by " + state.String()
	if state.Exited() {
		how = fmt.Sprintf("exited with status %d", state.ExitCode())
	}
	lines := lastLines(logPath)
	err := fmt.Errorf("%s %s; its last lines:\n%s", name, how, lines)
	if strings.Contains(lines, syscall.EADDRINUSE.Error()) {
		err = fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return err
}

// lastLines returns the last ten lines of a log, or why it cannot be read.
func lastLines(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text = text[max(0, len(text)-8<<10):]
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
