// Package install installs manifests/ into a local control plane and runs the
// controller there, under the ServiceAccount and the RBAC rules that users install.
// Its replicas are processes, so that a test can kill them.
package install

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// Where manifests/ installs the controller.
const (
	Namespace      = "kube-system"
	ServiceAccount = "active-standby-controller"
)

// Installation is a control plane with the manifests, and the controller's program
// to run on it.
type Installation struct {
	// Root is the root of the project.
	Root string
	// User is the ServiceAccount of the manifests.
	User local.User
	// Kubectl runs kubectl as an administrator and returns what it printed.
	Kubectl func(ctx context.Context, args ...string) (string, error)

	program string
	dir     string
	// environment is what the Deployment adds to the environment, such as GOMEMLIMIT.
	environment []string
}

// On applies the manifests to the control plane and builds the program. It must run
// inside the e2e module.
func On(ctx context.Context, plane *local.Plane) (*Installation, error) {
	mod, err := output(ctx, "go", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	i := &Installation{Root: filepath.Dir(filepath.Dir(strings.TrimSpace(mod))), dir: plane.Dir}
	i.Kubectl = func(ctx context.Context, args ...string) (string, error) {
		return output(ctx, plane.Kubectl, append([]string{"--kubeconfig", plane.Admin.Kubeconfig}, args...)...)
	}
	if _, err := i.Kubectl(ctx, "apply", "-f", filepath.Join(i.Root, "manifests")); err != nil {
		return nil, err
	}
	if i.User, err = plane.ServiceAccount(ctx, Namespace, ServiceAccount); err != nil {
		return nil, err
	}
	// Values that Kubernetes computes have no text here.
	lines, err := i.Kubectl(ctx, "get", "deployment", ServiceAccount, "-n", Namespace, "-o",
		`jsonpath={range .spec.template.spec.containers[0].env[?(@.value)]}{.name}={.value}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	i.environment = strings.Fields(lines)
	i.program = filepath.Join(plane.Dir, "active-standby-controller")
	if _, err := output(ctx, "make", "-C", i.Root, "build", "BIN="+plane.Dir); err != nil {
		return nil, err
	}
	return i, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
