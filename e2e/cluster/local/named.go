package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
)

// stopTimeout is far more than a supervisor needs to kill its programs.
const stopTimeout = 15 * time.Second

// Up starts a control plane that outlives the calling process, under a name by
// which other processes find it. If that name is already up, Up returns it and
// ignores the options. [Down] stops it, and so does its Stop.
func Up(ctx context.Context, name string, options Options) (plane *Plane, wasUp bool, err error) {
	dir, err := namedDir(name)
	if err != nil {
		return nil, false, err
	}
	supervisor, err := supervisorOf(ctx, dir)
	if err != nil {
		return nil, false, err
	}
	wasUp = supervisor != 0
	if wasUp {
		plane, err = awaitPlane(ctx, dir, options)
	} else {
		plane, err = start(ctx, options, order{Name: name, Detached: true})
	}
	if err != nil {
		return nil, wasUp, err
	}
	plane.stop = func() error {
		_, err := Down(context.WithoutCancel(ctx), name)
		return err
	}
	plane.stopped = nil
	return plane, wasUp, nil
}

// awaitPlane opens a control plane that another process is starting or has started.
func awaitPlane(ctx context.Context, dir string, options Options) (*Plane, error) {
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if _, err := os.Stat(kubeconfigFile(dir)); !errors.Is(err, fs.ErrNotExist) {
			return true, err
		}
		supervisor, err := supervisorOf(ctx, dir)
		if err == nil && supervisor == 0 {
			err = errors.New("it stopped while starting")
		}
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the local control plane in %s: %w", dir, err)
	}
	built, err := Build(ctx, options.progress())
	if err != nil {
		return nil, err
	}
	return openPlane(dir, built)
}

// Down stops the control plane of that name and waits until nothing is left of it.
// It returns false if that name is not up.
func Down(ctx context.Context, name string) (wasUp bool, err error) {
	dir, err := namedDir(name)
	if err != nil {
		return false, err
	}
	supervisor, err := supervisorOf(ctx, dir)
	if err != nil || supervisor == 0 {
		return false, errors.Join(err, sweepStale(ctx))
	}
	if err := syscall.Kill(supervisor, syscall.SIGTERM); err != nil {
		return true, err
	}
	gone := func(ctx context.Context) (bool, error) {
		now, err := supervisorOf(ctx, dir)
		return now != supervisor, err
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, stopTimeout, true, gone)
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = killGroup(supervisor)
	}
	return true, errors.Join(err, sweepStale(ctx))
}

// namedDir returns the state directory of the control plane of that name.
func namedDir(name string) (string, error) {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return "", fmt.Errorf("name %q: %s", name, strings.Join(problems, "; "))
	}
	planes, err := planesDir()
	return filepath.Join(planes, name), err
}
