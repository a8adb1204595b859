package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// state is the directory of one control plane. Its supervisor lives exactly as long
// as the pid file is locked. The pid alone proves nothing: another process may have
// it by now.
type state struct {
	dir string
	pid *fileLock
}

// cacheDir returns the directory that holds everything this package writes.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "active-standby-controller"), nil
}

func planesDir() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "planes")
	return dir, os.MkdirAll(dir, 0o700)
}

// newState makes a state directory and locks it for this process. Without a name
// it chooses an unused one. It also removes what killed supervisors left behind.
func newState(ctx context.Context, name string) (*state, error) {
	planes, err := planesDir()
	if err != nil {
		return nil, err
	}
	lock, err := lockPlanes(ctx, planes)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	if err := sweep(planes); err != nil {
		return nil, err
	}

	dir := filepath.Join(planes, name)
	if name == "" {
		dir, err = os.MkdirTemp(planes, "unnamed-")
	} else if err = os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("the local control plane %q is already up, starting or stopping", name)
	}
	if err != nil {
		return nil, err
	}
	pid, err := tryLock(pidFile(dir))
	if err == nil {
		_, err = fmt.Fprintln(pid.file, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &state{dir: dir, pid: pid}, nil
}

// remove deletes the directory.
func (s *state) remove(ctx context.Context) error {
	lock, err := lockPlanes(ctx, filepath.Dir(s.dir))
	if err != nil {
		return err
	}
	defer lock.release()
	defer s.pid.release()
	return os.RemoveAll(s.dir)
}

// sweepStale removes the directories of supervisors that were killed.
func sweepStale(ctx context.Context) error {
	planes, err := planesDir()
	if err != nil {
		return err
	}
	lock, err := lockPlanes(ctx, planes)
	if err != nil {
		return err
	}
	defer lock.release()
	return sweep(planes)
}

// sweep is sweepStale for a caller that has the lock on the planes.
func sweep(planes string) error {
	entries, err := os.ReadDir(planes)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		dir := filepath.Join(planes, entry.Name())
		pid, err := tryLock(pidFile(dir))
		if err != nil {
			return err
		}
		if pid == nil {
			continue
		}
		err = os.RemoveAll(dir)
		pid.release()
		if err != nil {
			return err
		}
	}
	return nil
}

// supervisorOf returns the pid of the state directory's supervisor, or 0 if none
// lives.
func supervisorOf(ctx context.Context, dir string) (int, error) {
	// The check below locks the pid file for a moment. Without this lock another
	// process could mistake that for a live supervisor.
	lock, err := lockPlanes(ctx, filepath.Dir(dir))
	if err != nil {
		return 0, err
	}
	defer lock.release()
	text, err := os.ReadFile(pidFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	dead, err := tryLock(pidFile(dir))
	if err != nil {
		return 0, err
	}
	if dead != nil {
		dead.release()
		return 0, nil
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// lockPlanes keeps other processes from making, removing and examining state
// directories.
func lockPlanes(ctx context.Context, planes string) (*fileLock, error) {
	return lock(ctx, planes+".lock", nil)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func pidFile(dir string) string { return filepath.Join(dir, "supervisor.pid") }

// killGroup kills a supervisor and its programs, which are in its process group.
func killGroup(supervisor int) error {
	if err := syscall.Kill(-supervisor, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
