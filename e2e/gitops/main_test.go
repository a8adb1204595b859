//go:build gitops

package gitops

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// What all tests share. Each cell has a namespace of its own.
var (
	plane        *local.Plane
	installation *install.Installation
	client       kubernetes.Interface
	programs     local.Programs
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// parallel is how many cells are played at the same time. They wait, most of the time.
const parallel = "6"

func runAll(m *testing.M) (code int, err error) {
	if err := flag.Set("test.parallel", parallel); err != nil {
		return 1, err
	}
	if programs, err = local.BuildTools(context.Background(), os.Stderr); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if plane, err = local.Start(ctx, local.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	programs["kubectl"] = plane.Kubectl
	if client, err = kubernetes.NewForConfig(plane.Admin.Config); err != nil {
		return 1, err
	}
	if installation, err = install.On(ctx, plane); err != nil {
		return 1, err
	}
	if err := installPolicies(ctx); err != nil {
		return 1, err
	}
	for i := range 2 {
		replica, err := installation.Start(ctx, fmt.Sprintf("replica-%d", i+1), "")
		if err != nil {
			return 1, err
		}
		defer replica.Stop()
	}
	return m.Run(), nil
}

// failClosed is the label of the namespaces in which Services are closed from birth.
const failClosed = "fail-closed"

// installPolicies installs all policies, as users do, but that of manifests/fail-closed for some
// namespaces alone.
func installPolicies(ctx context.Context) error {
	manifests := filepath.Join(installation.Root, "manifests")
	if _, err := installation.Kubectl(ctx, "apply", "-f", filepath.Join(manifests, "admission"), "-f", filepath.Join(manifests, "fail-closed")); err != nil {
		return err
	}
	scope := fmt.Sprintf(`{"spec":{"matchResources":{"namespaceSelector":{"matchLabels":{%q:"true"}}}}}`, failClosed)
	_, err := installation.Kubectl(ctx, "patch", "--type=merge", "-p", scope, "mutatingadmissionpolicybinding/active-standby-controller-fail-closed")
	return err
}

// versions are those of the programs: of the API server, and what the modules of the tools require.
func versions() (map[string]string, error) {
	server, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	v := map[string]string{"kubernetes": strings.TrimPrefix(server.GitVersion, "v")}
	for name, module := range map[string]string{"helm3": "helm.sh/helm/v3", "helm4": "helm.sh/helm/v4", "flux": "github.com/fluxcd/pkg/ssa"} {
		text, err := os.ReadFile(filepath.Join("..", "tools", name, "go.mod"))
		if err != nil {
			return nil, err
		}
		found := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(text)
		if found == nil {
			return nil, fmt.Errorf("the go.mod of %s does not require %s", name, module)
		}
		v[name] = string(found[1])
	}
	return v, nil
}
