//go:build gitops

package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// release is the chart, installed by a version of Helm in a namespace of its own.
type release struct {
	*testing.T
	helm, name, namespace string
	// fullname is that of the Deployment and the ServiceAccount.
	fullname string
}

func newRelease(t *testing.T, helm, name string) *release {
	t.Helper()
	return &release{T: t, helm: helm, name: name, namespace: makeNamespace(t), fullname: name + "-" + install.ServiceAccount}
}

func makeNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "chart-"}}
	return assert.Must(client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}))(t).Name
}

// run has Helm carry out a command, such as "install RELEASE CHART".
func (r *release) run(command string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	words := strings.Fields(strings.NewReplacer("RELEASE", r.name, "CHART", filepath.Join(installation.Root, "charts", install.ServiceAccount)).Replace(command))
	cmd := exec.CommandContext(ctx, programs[r.helm], append(words, "--kubeconfig", plane.Admin.Kubeconfig, "-n", r.namespace)...)
	home := r.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%s %s: %v\n%s", r.helm, command, err, out)
	}
	return string(out)
}

func (r *release) eventually(what string, condition func() error) {
	r.Helper()
	assert.Eventually(r, patience, what, condition)
}

// runs waits until two pods with this argument are Ready, and no other.
func (r *release) runs(arg string) {
	r.Helper()
	r.eventually("two pods run with "+arg, func() error {
		pods, err := client.CoreV1().Pods(r.namespace).List(r.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + r.name})
		if err != nil {
			return err
		}
		ready := 0
		for _, p := range pods.Items {
			if p.Spec.ServiceAccountName != r.fullname || !slices.Contains(p.Spec.Containers[0].Args, arg) {
				return fmt.Errorf("%s runs as %s with %v", p.Name, p.Spec.ServiceAccountName, p.Spec.Containers[0].Args)
			}
			if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				ready++
			}
		}
		if ready != 2 || len(pods.Items) != 2 {
			err = fmt.Errorf("of %d pods %d are Ready", len(pods.Items), ready)
		}
		return err
	})
}

// may checks whether the release's account has a right in a namespace.
func (r *release) may(want bool, verb, group, resource, namespace string) {
	r.Helper()
	r.eventually(fmt.Sprintf("%v: it may %s %s in %q", want, verb, resource, namespace), func() error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               fmt.Sprintf("system:serviceaccount:%s:%s", r.namespace, r.fullname),
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Namespace: namespace},
		}}
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), review, metav1.CreateOptions{})
		if err == nil && review.Status.Allowed != want {
			err = errors.New(review.Status.Reason)
		}
		return err
	})
}

// closed reports whether a Service is closed in the request that creates it.
func (r *release) closed(namespace string) bool {
	r.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	service = assert.Must(client.CoreV1().Services(namespace).Create(r.Context(), service, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}))(r)
	return service.Spec.Selector[api.LabelPodUID] == api.NoPod
}

// left returns the objects of the release, of all kinds and in all namespaces, and what Helm remembers of it.
func (r *release) left() ([]string, error) {
	kinds, err := installation.Kubectl(r.Context(), "api-resources", "--verbs=list", "-o", "name")
	if err != nil {
		return nil, err
	}
	objects, err := installation.Kubectl(r.Context(), "get", strings.Join(strings.Fields(kinds), ","), "-A", "-o", "name", "-l", "app.kubernetes.io/instance="+r.name)
	if err != nil {
		return nil, err
	}
	secrets, err := installation.Kubectl(r.Context(), "get", "secrets", "-n", r.namespace, "-o", "name", "-l", "owner=helm")
	// The others are warnings, and that there are none.
	return regexp.MustCompile(`(?m)^\S+/\S+$`).FindAllString(objects+secrets, -1), err
}

// uninstall removes the release, and checks that nothing of it is left.
func (r *release) uninstall() {
	r.Helper()
	if all, err := r.left(); err != nil || len(all) < 10 {
		r.Errorf("only %v were found of the release: %v", all, err)
	}
	r.run("uninstall RELEASE")
	r.eventually("nothing is left", func() error {
		all, err := r.left()
		if err == nil && len(all) > 0 {
			err = fmt.Errorf("there are %v", all)
		}
		return err
	})
}

// Helm installs the chart, changes it to serve one namespace alone under all policies, goes back, and leaves nothing.
func TestChart(t *testing.T) {
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			r := newRelease(t, helm, helm)
			other := makeNamespace(t)
			notes := r.run("install RELEASE CHART --wait")
			for _, want := range []string{"serves the Services of all namespaces", "deployment/" + r.fullname, "kubectl annotate service NAME qoqo.dev/service-mode=active-standby"} {
				if !strings.Contains(notes, want) {
					t.Errorf("the notes lack %q:\n%s", want, notes)
				}
			}
			r.runs("--v=2")
			r.may(true, "patch", "", "services", other)
			r.may(true, "list", "", "nodes", "")
			r.may(false, "delete", "", "pods", other)

			const policies = "admission.enabled=true,failClosed.enabled=true,networkPolicy.enabled=true,onDemote.enabled=true"
			notes = r.run("upgrade RELEASE CHART --wait --set verbosity=4,namespaces={" + r.namespace + "}," + policies)
			if want := "serves the Services of " + r.namespace + "."; !strings.Contains(notes, want) {
				t.Errorf("the notes lack %q:\n%s", want, notes)
			}
			r.runs("--namespaces=" + r.namespace)
			r.may(true, "patch", "", "services", r.namespace)
			r.may(true, "delete", "", "pods", r.namespace)
			r.may(true, "update", "coordination.k8s.io", "leases", r.namespace)
			r.may(false, "patch", "", "services", other)
			r.may(false, "list", "", "nodes", "")
			r.eventually("Services are closed from birth", func() error {
				if !r.closed(r.namespace) {
					return errors.New("it is open")
				}
				return nil
			})
			// The policy is of the one namespace.
			if r.closed(other) {
				t.Error("a Service of another namespace is closed")
			}

			r.run("rollback RELEASE --wait")
			r.runs("--v=2")
			r.may(true, "patch", "", "services", other)
			r.may(false, "delete", "", "pods", r.namespace)
			r.uninstall()
		})
	}
}

// Who has applied manifests/ goes over to the chart as docs/install.md says.
func TestChartTakesOver(t *testing.T) {
	for helm, flags := range map[string]string{"helm3": "--take-ownership", "helm4": "--take-ownership --force-conflicts"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			r := newRelease(t, helm, "over-"+helm)
			dir := assert.Must(filepath.EvalSymlinks(t.TempDir()))(t)
			overlay := fmt.Sprintf("namespace: %s\nnamePrefix: %s-\nresources: [%s]\n", r.namespace, r.name,
				assert.Must(filepath.Rel(dir, filepath.Join(installation.Root, "manifests")))(t))
			assert.Must(0, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600))(t)
			assert.Must(installation.Kubectl(t.Context(), "apply", "-k", dir))(t)
			assert.Must(installation.Kubectl(t.Context(), "delete", "deployment", r.fullname, "-n", r.namespace))(t)
			r.run("install RELEASE CHART --wait " + flags)
			r.runs("--v=2")
			r.run("upgrade RELEASE CHART --wait --set verbosity=4")
			r.runs("--v=4")
			r.uninstall()
		})
	}
}
