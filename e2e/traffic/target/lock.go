package main

import (
	"fmt"
	"os"
	"syscall"
)

// lock is what only one process may have at a time, such as the data of a database.
// Who has taken it has it until the process ends, so that of two processes that work
// at the same time one cannot take it. A nil one may be had by all.
type lock struct{ file *os.File }

// newLock returns nil if there is no path. The file has to exist.
func newLock(path string) (*lock, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the file to lock: %w", err)
	}
	return &lock{file}, nil
}

// take says whether this process has the lock.
func (l *lock) take() bool {
	return l == nil || syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
