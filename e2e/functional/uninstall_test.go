//go:build e2e

package functional

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// The controller can be deleted and installed again. Clients lose nothing, and the master
// stays. After the Services have opted out, nothing stays behind.
func TestUninstall(t *testing.T) {
	s := newScene(t)
	lease := s.web("clusterip.yaml")
	client := s.request("http://web")
	installed := func() string {
		out := s.kubectl("get", "deployment,pod,service,serviceaccount,poddisruptionbudget,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding",
			"-A", "-l", "app.kubernetes.io/name=active-standby-controller", "-o", "name")
		return strings.Join(strings.Fields(out), " ")
	}
	if n := len(strings.Fields(installed())); n < 9 {
		t.Errorf("only %d installed objects carry the label, want 9 or more: %s", n, installed())
	}
	uninstall := func() {
		t.Helper()
		if err := cluster.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.eventually("nothing is installed", func() error {
			if left := installed(); left != "" {
				return fmt.Errorf("these are left: %s", left)
			}
			return nil
		})
	}
	install := func() {
		t.Helper()
		if err := cluster.Install(t.Context(), controllerImage); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = cluster.Install(context.Background(), controllerImage) // for the other tests
		}
	})

	uninstall()
	install()
	next := s.standby("web")
	s.unmoved(lease)
	s.editHolder("web", next)
	client.awaitPod(next)
	client.check(0, *lease.Spec.HolderIdentity, next)

	s.optOut("web")
	s.awaitNothingLeft()
	uninstall()
	s.awaitNothingLeft()
	install()
}
