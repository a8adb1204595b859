package install

import "syscall"

// childAttributes has the kernel kill a replica with the thread that started
// it, so that none outlives a test binary that is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
