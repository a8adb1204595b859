package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// fileLock is the lock on a file. The kernel releases it when the process ends.
type fileLock struct{ file *os.File }

func (l *fileLock) release() { _ = l.file.Close() }

// tryLock creates the file if need be and takes the lock on it. It returns nil if
// another process has the lock.
func tryLock(path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := &fileLock{file}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.release()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return lock, nil
}

// lock is tryLock that waits for its turn. If it must wait, it calls waiting once.
func lock(ctx context.Context, path string, waiting func()) (lock *fileLock, err error) {
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		lock, err = tryLock(path)
		if lock == nil && err == nil && waiting != nil {
			waiting()
			waiting = nil
		}
		return lock != nil, err
	})
	return lock, err
}
