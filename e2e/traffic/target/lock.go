package main

import (
	"fmt"
	"os"
	"syscall"
)

// lock stands for what only one process may use at a time, such as the data of a
// database. A process that has taken it keeps it until it ends, so that two processes
// that work at the same time are found out: the second cannot take it. A nil lock can
// be taken by any number of processes.
type lock struct{ file *os.File }

// newLock returns nil if path is empty. The file must exist.
func newLock(path string) (*lock, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the file to lock: %w", err)
	}
	return &lock{file}, nil
}

// take takes the lock, and reports whether this process has it now.
func (l *lock) take() bool {
	return l == nil || syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
