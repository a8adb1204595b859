package install

import "syscall"

// childAttributes makes the kernel kill a replica when the thread that started it
// ends, so that no replica outlives a test binary that is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
