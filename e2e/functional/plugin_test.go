//go:build e2e

package functional

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// plugin is the kubectl plugin, which `make e2e` builds.
var plugin = os.Getenv("E2E_PLUGIN")

// Every command of the plugin works with the rights that docs/kubectl.md names, and no
// others.
func TestPlugin(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := *s.web("clusterip.yaml").Spec.HolderIdentity
	u := s.pluginUser()
	node := s.pod(first).Spec.NodeName
	u.eventuallyPrints("status", func(out string) error {
		want := []string{"web", "selector", first, node, "", "1", "FirstEligible", "2/2", "Ok"}
		return sameFields(secondLine(out), want)
	})

	moved := u.moves("switchover", "web")
	if moved.from != first || moved.epoch != "2" {
		t.Errorf("the plugin prints the move as %+v, want from %s in epoch 2", moved, first)
	}
	s.awaitMaster("web", 2, moved.to)
	u.moves("switchover", "web", "--to", first)
	lease := s.awaitMaster("web", 3, first)

	notReady := s.standby("web")
	s.setReady(notReady, false)
	s.eventually(notReady+" is not Ready", func() error {
		if isReady(*s.pod(notReady)) {
			return errors.New("it is Ready")
		}
		return nil
	})
	u.fails(notReady+" cannot become master: it is not Ready", "switchover", "web", "--to", notReady)
	s.unmoved(lease)
	s.setReady(notReady, true)
	s.eventually(notReady+" is Ready again", func() error { return readiness(*s.pod(notReady)) })

	u.prints("service/web paused", "pause", "web")
	u.fails("service/web is paused", "switchover", "web")
	u.fails(`services "web" is already paused`, "pause", "web")
	u.eventuallyPrints("status web -o jsonpath={.status.paused}", func(out string) error { return sameFields(out, []string{"true"}) })
	s.unmoved(lease)
	u.prints("service/web resumed", "resume", "web")
	last := u.moves("switchover", "web", "--to", notReady)

	// Eventually, because the events are written after the moves.
	u.eventuallyPrints("history web --no-headers", func(out string) error {
		lines := strings.Split(out, "\n")
		want := [][]string{
			{"", "1", "<none>", first, "Elect", "FirstEligible"},
			{"", "2", first, moved.to, "Switchover", "HolderEdited"},
			{"", "3", moved.to, first, "Switchover", "HolderEdited"},
			{"", "4", first, last.to, "Switchover", "HolderEdited"},
		}
		if len(lines) != len(want) {
			return fmt.Errorf("history prints %q, want %d lines", out, len(want))
		}
		for i, line := range lines {
			if err := sameFields(line, want[i]); err != nil {
				return err
			}
		}
		return nil
	})

	out := u.mustRun("check", "web")
	t.Logf("check:\n%s", out)
	for _, want := range []string{
		fmt.Sprintf("Next:       nothing: %s is master in epoch 4 (HolderEligible)", last.to),
		"Note: nodes may not be read",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("check does not say %q", want)
		}
	}
	for name := range s.pods("web") {
		if !regexp.MustCompile(`(?m)^[0-9]\s+` + name + `\s+\S+\s+unknown\s`).MatchString(out) {
			t.Errorf("check does not show %s as eligible on an unknown node", name)
		}
	}
}

// With every routing, a switchover returns once traffic goes to the new master.
func TestPluginSwitchover(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"clusterip.yaml", "endpointslice.yaml", "predecessor.yaml"} {
		t.Run(service, func(t *testing.T) {
			s := newScene(t)
			s.web(service)
			u := s.pluginUser()
			client := s.request("http://web")
			for epoch := range int32(4) {
				next := s.standby("web")
				u.moves("switchover", "web", "--to", next)
				// Without waiting: the plugin has already waited.
				if pod := s.pod(next); string(pod.UID) != s.lease("web").Annotations[api.AnnotationHolderUID] {
					t.Errorf("%s is not the master", next)
				}
				s.awaitMaster("web", epoch+2, next)
				client.awaitPod(next)
			}
		})
	}
}

// pluginUser runs the plugin as a ServiceAccount with few rights.
type pluginUser struct {
	*scene
	// path is the path of kubectl.
	path string
	env  []string
}

func (s *scene) pluginUser() *pluginUser {
	s.Helper()
	if plugin == "" {
		s.Fatal("E2E_PLUGIN is empty; run `make e2e`, which builds the plugin")
	}
	s.applyText(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules:
- apiGroups: ["", coordination.k8s.io, discovery.k8s.io, events.k8s.io]
  resources: [services, pods, leases, endpointslices, events]
  verbs: [get, list, watch]
- apiGroups: ["", coordination.k8s.io]
  resources: [services, leases]
  verbs: [patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects:
- {kind: ServiceAccount, name: operator}
`)
	dir := s.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(s.configOf("operator"), kubeconfig); err != nil {
		s.Fatal(err)
	}
	// kubectl finds its plugins by their names.
	if err := os.Symlink(plugin, filepath.Join(dir, "kubectl-active_standby")); err != nil {
		s.Fatal(err)
	}
	// This builds the program, and prints its path in the cache.
	build := exec.CommandContext(s.Context(), "go", "-C", cluster.Path("e2e", "tools", "kubernetes"), "tool", "-n", "kubectl")
	build.Env = append(os.Environ(), "GOWORK=off")
	path := strings.TrimSpace(string(assert.Must(build.Output())(s)))
	return &pluginUser{s, path, append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))}
}

// configOf returns a kubeconfig of the ServiceAccount, for the test's namespace.
func (s *scene) configOf(account string) clientcmdapi.Config {
	s.Helper()
	config := clientcmdapi.NewConfig()
	server := rest.CopyConfig(cluster.Config)
	if err := rest.LoadTLSFiles(server); err != nil {
		s.Fatal(err)
	}
	config.Clusters["kind"] = &clientcmdapi.Cluster{Server: server.Host, CertificateAuthorityData: server.CAData}
	config.AuthInfos[account] = &clientcmdapi.AuthInfo{Token: s.kubectl("create", "token", account)}
	config.Contexts[account] = &clientcmdapi.Context{Cluster: "kind", AuthInfo: account, Namespace: s.namespace}
	config.CurrentContext = account
	return *config
}

// run runs `kubectl active-standby`, and returns what it printed to standard output. An
// error has what it printed to standard error.
func (u *pluginUser) run(args ...string) (string, error) {
	u.Helper()
	cmd := exec.CommandContext(u.Context(), u.path, append([]string{"active-standby"}, args...)...)
	cmd.Env = u.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), err
}

func (u *pluginUser) mustRun(args ...string) string {
	u.Helper()
	out, err := u.run(args...)
	if err != nil {
		u.Fatalf("%v: %v", args, err)
	}
	return out
}

func (u *pluginUser) prints(want string, args ...string) {
	u.Helper()
	if out := u.mustRun(args...); out != want {
		u.Errorf("%v prints %q, want %q", args, out, want)
	}
}

// eventuallyPrints runs a command until please accepts its output. It is for what the
// controller or Kubernetes has yet to write.
func (u *pluginUser) eventuallyPrints(line string, please func(out string) error) {
	u.Helper()
	u.eventually(line, func() error {
		out, err := u.run(strings.Fields(line)...)
		if err != nil {
			return err
		}
		return please(out)
	})
}

// fails makes the test fail unless the command exits with code 1 and this message.
func (u *pluginUser) fails(want string, args ...string) {
	u.Helper()
	out, err := u.run(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(err.Error(), want) {
		u.Errorf("%v prints %q and ends with %v, want exit code 1 and %q", args, out, err, want)
	}
}

type printedMove struct{ from, to, took, epoch string }

var movedLine = regexp.MustCompile(`^web: master moved from (\S+) to (\S+) in (\S+) \(epoch ([0-9]+)\)$`)

// moves runs a switchover, and returns what the plugin prints about it. It ends the test
// unless the plugin prints a move.
func (u *pluginUser) moves(args ...string) printedMove {
	u.Helper()
	out := u.mustRun(args...)
	found := movedLine.FindStringSubmatch(out)
	if found == nil {
		u.Fatalf("%v prints %q", args, out)
	}
	u.Log(out)
	return printedMove{found[1], found[2], found[3], found[4]}
}

func secondLine(text string) string {
	_, second, _ := strings.Cut(text, "\n")
	return second
}

// sameFields returns an error unless the words of a line are those wanted. An empty one
// allows any word.
func sameFields(line string, want []string) error {
	got := strings.Fields(line)
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = want[i] == "" || got[i] == want[i]
	}
	if !same {
		return fmt.Errorf("the plugin prints %q, want %q", line, want)
	}
	return nil
}
