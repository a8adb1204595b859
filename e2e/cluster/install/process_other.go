//go:build !linux

package install

import "syscall"

// childAttributes does nothing, because only Linux can do it. Here a replica outlives
// a test binary that is killed.
func childAttributes() *syscall.SysProcAttr { return nil }
