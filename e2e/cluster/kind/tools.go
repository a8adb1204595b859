package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tools are the paths of the project and of the programs.
type tools struct {
	root          string
	kind, kubectl string
}

// findTools finds the programs, and builds those that are not in Go's cache yet.
func findTools(ctx context.Context, report func(string, ...any)) (t tools, err error) {
	const module = "qoqo.dev/active-standby-controller/e2e"
	dir, err := run(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return t, fmt.Errorf("find the module %s, inside which this must run: %w", module, err)
	}
	t.root = filepath.Dir(dir)
	report("Finding kind and kubectl, which takes some minutes the first time")
	for _, tool := range []struct {
		path   *string
		module string
		name   string
	}{{&t.kind, "kind", "kind"}, {&t.kubectl, "kubernetes", "kubectl"}} {
		// This builds the program, and prints its path in the cache.
		if *tool.path, err = run(ctx, "", "go", "-C", filepath.Join(dir, "tools", tool.module), "tool", "-n", tool.name); err != nil {
			return t, err
		}
	}
	return t, nil
}

// run runs a program and returns what it printed.
func run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), errors.Join(err, context.Cause(ctx)), bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(stdout)), err
}

// step reports what do does, and how long it took.
func (c *Cluster) step(what string, do func() error) error {
	c.report("%s", what)
	start := time.Now()
	err := do()
	if err == nil {
		c.report("  Done in %s", time.Since(start).Round(100*time.Millisecond))
	}
	return err
}

// report writes a line to progress. A failure to write is no reason to stop.
func (c *Cluster) report(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...)
}
