//go:build gitops

package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// patience is how long a test waits for what should take a second.
	patience = time.Minute
	// rest is for how long nothing must change before a step has ended.
	rest = 300 * time.Millisecond
)

// play is a tool that is tried in a namespace with the pods web-0 and web-1.
type play struct {
	*testing.T
	tool      Tool
	form      Form
	namespace string
	dir       string // of the manifests, and of what the tools write
	traffic   *traffic
	master    string
}

func newPlay(t *testing.T, tool Tool, form Form, policy bool) *play {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: map[string]string{failClosed: fmt.Sprint(policy)}}}
	namespace = assert.Must(client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}))(t)
	p := &play{T: t, tool: tool, form: form, namespace: namespace.Name, dir: t.TempDir()}
	p.traffic = follow(t, p.namespace)
	account := &corev1.ServiceAccount{}
	p.eventually("the namespace's ServiceAccount exists", func() (err error) {
		account, err = client.CoreV1().ServiceAccounts(p.namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	for _, name := range []string{"web-0", "web-1"} {
		// The ServiceAccount passes for the pods' workload: no controller adds or removes pods of it.
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "ServiceAccount", Name: account.Name, UID: account.UID, Controller: ptr.To(true)},
			}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}
		assert.Must(client.CoreV1().Pods(p.namespace).Create(t.Context(), pod, metav1.CreateOptions{}))(t)
		p.eventually(name+" is Ready", func() error {
			pod, err := client.CoreV1().Pods(p.namespace).Get(t.Context(), name, metav1.GetOptions{})
			if err == nil && !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				err = fmt.Errorf("its conditions are %v", pod.Status.Conditions)
			}
			return err
		})
	}
	if policy {
		p.eventually("the policy is in force", func() error {
			service := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
				Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
			}
			made, err := client.CoreV1().Services(p.namespace).Create(t.Context(), service, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err == nil && made.Spec.Selector[api.LabelPodUID] != api.NoPod {
				err = fmt.Errorf("the selector is %v", made.Spec.Selector)
			}
			return err
		})
	}
	return p
}

func (p *play) eventually(what string, condition func() error) {
	p.Helper()
	assert.Eventually(p, patience, what, condition)
}

// write writes the manifest, a kustomization of it and a chart of it.
func (p *play) write(target int) {
	p.Helper()
	manifest := "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    qoqo.dev/service-mode: active-standby\n"
	for line := range strings.SplitSeq(p.form.Annotations, "\n") {
		manifest += "    " + line + "\n"
	}
	manifest += "spec:\n  ports: [{port: 80, targetPort: %s}]\n"
	if p.form.Selector != "" {
		manifest += "  selector: " + p.form.Selector + "\n"
	}
	for name, text := range map[string]string{
		"kustomization.yaml":           "resources: [service.yaml]\n",
		"service.yaml":                 fmt.Sprintf(manifest, fmt.Sprint(target)),
		"chart/Chart.yaml":             "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"chart/values.yaml":            fmt.Sprintf("target: %d\n", target),
		"chart/templates/service.yaml": fmt.Sprintf(manifest, "{{ .Values.target }}"),
	} {
		path := filepath.Join(p.dir, name)
		assert.Must(0, os.MkdirAll(filepath.Dir(path), 0o700))(p)
		assert.Must(0, os.WriteFile(path, []byte(text), 0o600))(p)
	}
}

// run runs a command of the tool, and returns what it printed.
func (p *play) run(command string, target int) (string, error) {
	p.write(target)
	words := strings.Fields(command)
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, programs[words[0]], append(words[1:], "--kubeconfig", plane.Admin.Kubeconfig, "-n", p.namespace)...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_CACHE_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "XDG_DATA_HOME="+p.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// settle waits until the slices list the master alone, the controller has left the selector, and
// slices and Service change no longer.
func (p *play) settle() {
	p.Helper()
	var version string
	var written time.Time
	p.eventually(p.master+" gets the traffic", func() error {
		service, err := client.CoreV1().Services(p.namespace).Get(p.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if service.ResourceVersion != version {
			version, written = service.ResourceVersion, time.Now()
		}
		for _, e := range service.ManagedFields {
			if fields := e.FieldsV1.GetRawString(); e.Manager == api.ManagedBy && strings.Contains(fields, `"f:selector"`) {
				return fmt.Errorf("the controller owns %s", fields)
			}
		}
		pods, moved := p.traffic.now()
		if !slices.Equal(pods, []string{p.master}) {
			return fmt.Errorf("the endpoints are %v", pods)
		}
		if time.Since(moved) < rest || time.Since(written) < rest {
			return errors.New("there was a change a moment ago")
		}
		return nil
	})
}

// switchover moves the master to the other pod.
func (p *play) switchover() {
	p.Helper()
	p.master = map[string]string{"web-0": "web-1", "web-1": "web-0"}[p.master]
	body := fmt.Appendf(nil, `{"spec":{"holderIdentity":%q}}`, p.master)
	assert.Must(client.CoordinationV1().Leases(p.namespace).Patch(p.Context(), "web", types.MergePatchType, body, metav1.PatchOptions{}))(p)
	p.settle()
}

// differs reports whether the tool shows a difference of the Service from its manifest.
func (p *play) differs(target int) (bool, string, error) {
	p.Helper()
	if emulated, found := compares[p.tool.Diff]; found {
		p.write(target)
		drift, err := emulated(p)
		return drift, "", err
	}
	out, err := p.run(p.tool.Diff, target)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return true, out, nil
	}
	return false, out, err
}

// warnings are the reasons of the controller's Warning events of the Service.
func (p *play) warnings() (reasons []string) {
	p.Helper()
	for _, e := range assert.Must(client.EventsV1().Events(p.namespace).List(p.Context(), metav1.ListOptions{}))(p).Items {
		if e.Type == corev1.EventTypeWarning && e.ReportingController == api.Domain+"/"+api.ManagedBy && e.Regarding.Kind == "Service" {
			p.Logf("event %s: %s", e.Reason, e.Note)
			reasons = append(reasons, e.Reason)
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

// step is an upgrade after a switchover.
type step struct {
	command string
	target  int
}

// play installs the Service, does the steps, and uninstalls it. It ends at the first command that fails.
func (p *play) play(policy bool, steps []step) (c Cell) {
	p.Helper()
	c = Cell{Tool: p.tool.Name, Form: p.form.Name, Policy: policy}
	defer func() { c.Warnings = p.warnings() }()
	failed := func(command string, out string, err error) bool {
		if err != nil {
			c.Failed = fmt.Sprintf("`%s`: %s", command, strings.ReplaceAll(strings.TrimSpace(out+" "+err.Error()), p.namespace, "NAMESPACE"))
		}
		return err != nil
	}
	began, target := time.Now(), 8080
	if out, err := p.run(p.tool.Install, target); failed(p.tool.Install, out, err) {
		return c
	}
	p.eventually("there is a master", func() error {
		lease, err := client.CoordinationV1().Leases(p.namespace).Get(p.Context(), "web", metav1.GetOptions{})
		if err == nil {
			p.master = ptr.Deref(lease.Spec.HolderIdentity, "")
		}
		if err == nil && p.master == "" {
			err = fmt.Errorf("it has no holder")
		}
		return err
	})
	p.settle()
	elected := time.Now()
	c.Newborn = p.traffic.longest(began, elected, several)
	for _, s := range steps {
		p.switchover()
		if p.tool.Diff != "" {
			drift, out, err := p.differs(target)
			if failed(p.tool.Diff, out, err) {
				return c
			}
			if drift {
				c.Drift = true
				p.Logf("a difference: %s", out)
			}
		}
		applied := time.Now()
		out, err := p.run(s.command, s.target)
		if failed(s.command, out, err) {
			return c
		}
		p.settle()
		c.Open = max(c.Open, p.traffic.longest(applied, time.Now(), notOnly(p.master)))
		c.Closed = max(c.Closed, p.traffic.longest(applied, time.Now(), none))
		target = s.target
	}
	// Also during a switchover.
	c.Open = max(c.Open, p.traffic.longest(elected, time.Now(), several))
	if out, err := p.run(p.tool.Uninstall, target); failed(p.tool.Uninstall, out, err) {
		return c
	}
	p.eventually("the Service and its Lease are gone", func() error {
		leases, err := client.CoordinationV1().Leases(p.namespace).List(p.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		services, err := client.CoreV1().Services(p.namespace).List(p.Context(), metav1.ListOptions{})
		if err == nil && len(services.Items)+len(leases.Items) > 0 {
			err = fmt.Errorf("there are %d Services and %d Leases", len(services.Items), len(leases.Items))
		}
		return err
	})
	return c
}
