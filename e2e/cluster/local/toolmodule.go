package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// toolModule is a module in e2e/tools, and how programs are built from it.
type toolModule struct {
	dir   string
	flags []string
	bin   string // the directory of its built programs
}

// toolsDir finds e2e/tools from any directory of the e2e module. It asks the go
// command because the path of this source file is lost with -trimpath.
func toolsDir(ctx context.Context) (string, error) {
	const module = "qoqo.dev/active-standby-controller/e2e"
	dir, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module))
	if err != nil {
		return "", fmt.Errorf("find the module %s, inside which this must run: %w", module, err)
	}
	return filepath.Join(dir, "tools"), nil
}

// loadToolModule reads a module. Its programs get a directory in bin whose name has
// a hash of everything they depend on, so that none is used when that changes.
func loadToolModule(ctx context.Context, dir, bin string) (*toolModule, error) {
	m := &toolModule{dir: dir}
	kubernetes, err := m.requiredVersion(ctx, "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	ldflags := "-s -w"
	if kubernetes != nil {
		// Kubernetes takes its version from the linker, not from its module.
		const variables = "k8s.io/component-base/version."
		ldflags += fmt.Sprintf(" -X %[1]sgitVersion=v%[2]s -X %[1]sgitMajor=%[3]d -X %[1]sgitMinor=%[4]d",
			variables, kubernetes, kubernetes.Major(), kubernetes.Minor())
	}
	m.flags = []string{"-trimpath", "-ldflags", ldflags}

	toolchain, err := output(m.goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH"))
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	hash.Write(fmt.Appendln(nil, toolchain, m.flags))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range append([]string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")}, files...) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		hash.Write(text)
	}
	m.bin = filepath.Join(bin, fmt.Sprintf("%s-%.6x", filepath.Base(dir), hash.Sum(nil)))
	return m, nil
}

// requiredVersion returns the version of a module that go.mod requires, or nil.
func (m *toolModule) requiredVersion(ctx context.Context, path string) (*version.Version, error) {
	text, err := output(m.goCommand(ctx, "mod", "edit", "-json"))
	if err != nil {
		return nil, err
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(text), &mod); err != nil {
		return nil, fmt.Errorf("read the go.mod of %s: %w", m.dir, err)
	}
	for _, require := range mod.Require {
		if require.Path == path {
			return version.ParseSemantic(require.Version)
		}
	}
	return nil, nil
}

// goCommand returns a go command for the module alone, even inside a workspace.
func (m *toolModule) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}

// output runs a command and returns what it printed.
func output(cmd *exec.Cmd) (string, error) {
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return strings.TrimSpace(string(text)), err
}
