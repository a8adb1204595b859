//go:build !linux

package install

import "syscall"

// childAttributes can do nothing here for a test binary that is killed.
func childAttributes() *syscall.SysProcAttr { return nil }
