package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// process is a running program of the control plane.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts a program in the state directory, and calls exited when it
// ends. Call it from the supervisor's main goroutine only (see dieWithParent).
func startProcess(dir, name, path string, args []string, exited func(error)) (*process, error) {
	log, err := os.Create(logFile(dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the program has its own
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	// Nothing of the user's environment, as ETCD_… and KWOK_… variables are flags.
	cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent(syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// The error says no more than the state that exitError describes.
		_ = cmd.Wait()
		exited(exitError(name, cmd.ProcessState, log.Name()))
	}()
	return p, nil
}

func logFile(dir, program string) string { return filepath.Join(dir, program+".log") }

// kill ends the process and waits for that. The programs' state is thrown away,
// so there is nothing that they would have to save.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if it has ended
	<-p.done
}

// errPortTaken is why the API server did not start if somebody else took its port
// between our look and its start.
var errPortTaken = errors.New("the port was taken meanwhile")

// exitError says how a program ended and what it said last.
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

// lastLines returns the end of a log.
func lastLines(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text = text[max(0, len(text)-8<<10):]
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
