//go:build e2e

package functional

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Helm installs the chart, upgrades it and uninstalls it. The master stays, and clients lose nothing.
func TestChart(t *testing.T) {
	s := newScene(t)
	s.guard.Opened("active-standby-controller-metrics")
	t.Cleanup(func() { // for the other tests
		if err := cluster.Install(context.Background(), controllerImage); err != nil {
			t.Error(err)
		}
	})
	if err := cluster.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	chart := cluster.Path("charts", "active-standby-controller")
	repository, tag, _ := strings.Cut(controllerImage, ":")
	image := "--set=image.repository=" + repository + ",image.tag=" + tag
	s.helm("install", "active-standby-controller", chart, image, "--wait", "--timeout=3m")
	master := *s.web("clusterip.yaml").Spec.HolderIdentity
	client := s.request("http://web")

	s.helm("upgrade", "active-standby-controller", chart, image, "--set=verbosity=4", "--wait", "--timeout=3m")
	s.awaitMaster("web", 1, master)
	client.check(0, master)
	next := s.standby("web")
	s.editHolder("web", next)
	s.awaitMaster("web", 2, next)
	client.awaitPod(next)

	s.helm("uninstall", "active-standby-controller", "--wait", "--timeout=3m")
	s.awaitMaster("web", 2, next)
	client.check(0, master, next)
}

// helm runs Helm in the namespace.
func (s *scene) helm(args ...string) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), helm, append(args, "--kubeconfig", cluster.Kubeconfig, "-n", s.namespace)...)
	home := s.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
