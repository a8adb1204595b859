//go:build integration

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// ofOtherTools are the examples whose objects the API server does not know. They install the example
// routing. Their own tests are beside those of the tools.
var ofOtherTools = []string{"argo-cd", "flux"}

// Each example is accepted by the API server, elects a master for each annotated Service, moves
// it when the master is deleted, and leaves nothing behind. What its containers do, the tests on
// kind show, and of Prometheus its own check of its configuration.
func TestExamples(t *testing.T) {
	t.Parallel()
	folders := assert.Must(filepath.Glob(filepath.Join(installation.Root, "examples", "*", "README.md")))(t)
	if len(folders) < 10 {
		t.Fatalf("only %d examples are found", len(folders))
	}
	for _, readme := range folders {
		folder := filepath.Dir(readme)
		if slices.Contains(ofOtherTools, filepath.Base(folder)) {
			continue
		}
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			s := newNamespace(t)
			s.kubectlHere("apply", "-f", folder)
			leases := s.annotated()
			if len(leases) == 0 {
				t.Fatal("no Service is annotated")
			}
			for _, name := range leases {
				s.moves(name)
			}
			s.kubectlHere("delete", "-f", folder, "--wait=false")
			for _, name := range leases {
				s.eventually("the Lease "+name+" is gone", func() error {
					_, err := client.CoordinationV1().Leases(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
					if err == nil {
						return errors.New("it is there")
					}
					if apierrors.IsNotFound(err) {
						return nil
					}
					return err
				})
			}
		})
	}
}

// annotated returns the names of the Leases of the namespace's annotated Services, once each.
func (s *scene) annotated() (leases []string) {
	s.Helper()
	list := assert.Must(client.CoreV1().Services(s.namespace).List(s.Context(), metav1.ListOptions{}))(s)
	for _, service := range list.Items {
		if service.Annotations[api.AnnotationServiceMode] != api.ModeActiveStandby {
			continue
		}
		name := service.Name
		if other, shared := service.Annotations[api.AnnotationLeaseName]; shared {
			name = other
		}
		if !slices.Contains(leases, name) {
			leases = append(leases, name)
		}
	}
	return leases
}

// moves waits for a master, deletes it, and waits for another.
func (s *scene) moves(lease string) {
	s.Helper()
	master := s.holderOf(lease, "")
	assert.Must(0, client.CoreV1().Pods(s.namespace).Delete(s.Context(), s.podOf(master).Name, metav1.DeleteOptions{}))(s)
	s.holderOf(lease, master)
}

// holderOf waits until the Lease is held by a pod with another UID than this one, and returns
// that pod's.
func (s *scene) holderOf(lease, other string) (uid string) {
	s.Helper()
	s.eventually("another pod holds the Lease "+lease, func() error {
		l, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), lease, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if uid = l.Annotations[api.AnnotationHolderUID]; uid == "" || uid == other {
			return fmt.Errorf("its holder is %q (%s)", ptr.Deref(l.Spec.HolderIdentity, ""), uid)
		}
		return nil
	})
	return uid
}

func (s *scene) podOf(uid string) corev1.Pod {
	s.Helper()
	pods := assert.Must(client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items
	i := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return string(pod.UID) == uid })
	if i < 0 {
		s.Fatalf("there is no pod with the UID %s", uid)
	}
	return pods[i]
}

// kubectlHere runs kubectl in the test's namespace.
func (s *scene) kubectlHere(args ...string) {
	s.Helper()
	assert.Must(installation.Kubectl(s.Context(), append([]string{"-n", s.namespace}, args...)...))(s)
}

// The configuration of examples/prometheus is one that Prometheus accepts.
func TestPrometheusExample(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no program promtool; Debian has it in the package prometheus")
	}
	s := newNamespace(t)
	s.kubectlHere("apply", "-f", filepath.Join(installation.Root, "examples", "prometheus"))
	config := assert.Must(client.CoreV1().ConfigMaps(s.namespace).Get(t.Context(), "prometheus", metav1.GetOptions{}))(t)
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	assert.Must(0, os.WriteFile(file, []byte(config.Data["prometheus.yml"]), 0o600))(t)
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "config", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
