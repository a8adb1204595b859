//go:build !linux

package local

import "syscall"

// dieWithParent does nothing, because only Linux can do it. Here a supervisor that
// is killed with SIGKILL leaves its programs running.
func dieWithParent(syscall.Signal) *syscall.SysProcAttr { return nil }
