//go:build !linux

package replicas

import "syscall"

// childAttributes can do nothing here for a test binary that is killed.
func childAttributes() *syscall.SysProcAttr { return nil }
