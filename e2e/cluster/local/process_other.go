//go:build !linux

package local

import "syscall"

// dieWithParent is a service of Linux. Elsewhere a supervisor that is killed with
// SIGKILL leaves its programs running.
func dieWithParent(syscall.Signal) *syscall.SysProcAttr { return nil }
