package failover

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
	"qoqo.dev/active-standby-controller/e2e/traffic"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	namespace = "failover"
	// patience is how long the measurement waits for each condition.
	patience = 4 * time.Minute
	// follow is the time in which kube-proxy has applied a change, even if it waits out
	// a second first and the machine is busy.
	follow = 2 * time.Second
	// rest is how long kube-proxy must have had nothing to do before a cause.
	// kube-proxy pauses for a second after each update. A change that comes just after
	// an update has begun is applied after that second, and a second pause follows.
	rest = 2500 * time.Millisecond
)

//go:embed workload.yaml
var manifest string

var workloadTemplate = template.Must(template.New("workload.yaml").Parse(manifest))

// workload is a Deployment and a Service of the same name.
type workload struct {
	variant results.Variant
	url     string
	// master is the pod that fails or moves. The plain Service has no master: it is the
	// pod that fails in its place.
	master *corev1.Pod
	// epoch is the Lease's epoch before the cause.
	epoch  int32
	client *traffic.Pod
}

// name returns the name of the workload's objects and of its Lease.
func (w *workload) name() string { return w.variant.Object() }

// plain reports whether this is the plain Service, which has no master.
func (w *workload) plain() bool { return w.variant.Routing == results.Plain }

// apply creates the workloads of these variants as the scenario needs them. It creates
// no others, because all pods share the machine.
func (m *measurement) apply(ctx context.Context, s Scenario, variants []results.Variant) error {
	if _, err := m.Kubectl(ctx, "", "-n", namespace, "delete", "service", "-l", "shared"); err != nil {
		return err
	}
	text, err := m.manifests(s, variants)
	if err != nil {
		return err
	}
	if _, err := m.Kubectl(ctx, text, "-n", namespace, "apply", "-f", "-"); err != nil {
		return err
	}
	m.workloads = nil
	for _, v := range variants {
		w := &workload{variant: v}
		if err := m.AwaitRollout(ctx, namespace, "deployment/"+w.name()); err != nil {
			return err
		}
		service, err := m.Client.CoreV1().Services(namespace).Get(ctx, w.name(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		// Not by name, because DNS may be on the node that fails.
		w.url = "http://" + service.Spec.ClusterIP
		m.workloads = append(m.workloads, w)
	}
	return nil
}

// manifests returns the objects of these variants, as YAML.
func (m *measurement) manifests(s Scenario, variants []results.Variant) (string, error) {
	var text strings.Builder
	for _, v := range variants {
		if err := workloadTemplate.Execute(&text, map[string]any{
			"Name": v.Object(), "Variant": v, "Replicas": replicas, "Image": m.image, "Readiness": readiness, "Probe": probe, "PreStop": s.preStop, "Shared": s.shared,
		}); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

func (m *measurement) pods(ctx context.Context, w *workload) ([]corev1.Pod, error) {
	list, err := m.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + w.name()})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// settle waits until the workload has recovered from an earlier run, and finds the
// master.
func (m *measurement) settle(ctx context.Context, w *workload) error {
	return m.eventually(ctx, w.name()+" is at rest", func() error {
		pods, err := m.pods(ctx, w)
		if err != nil {
			return err
		}
		if len(pods) != replicas {
			return fmt.Errorf("%d pods", len(pods))
		}
		for _, pod := range pods {
			if !ready(&pod) {
				return fmt.Errorf("%s is not Ready", pod.Name)
			}
		}
		if err := m.findMaster(ctx, w, pods); err != nil {
			return err
		}
		return m.spread(ctx, w, pods)
	})
}

// findMaster finds the master among the workload's pods. For the plain Service it
// takes any pod.
func (m *measurement) findMaster(ctx context.Context, w *workload, pods []corev1.Pod) error {
	if w.plain() {
		w.master = &pods[0]
		return nil
	}
	lease, err := m.Client.CoordinationV1().Leases(namespace).Get(ctx, w.name(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	holder := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return string(pod.UID) == lease.Annotations[api.AnnotationHolderUID] })
	if holder < 0 || pods[holder].Labels[api.LabelDesignation] != api.DesignationActive {
		return fmt.Errorf("the pod %s holds the Lease, but is not labelled active", ptr.Deref(lease.Spec.HolderIdentity, ""))
	}
	w.master, w.epoch = &pods[holder], ptr.Deref(lease.Spec.LeaseTransitions, 0)
	return nil
}

// spread deletes a standby that shares its node with another pod. Its replacement
// goes to the node that has none.
func (m *measurement) spread(ctx context.Context, w *workload, pods []corev1.Pod) error {
	occupied := sets.New(w.master.Spec.NodeName)
	for _, pod := range pods {
		if pod.UID != w.master.UID && occupied.Has(pod.Spec.NodeName) {
			return errors.Join(fmt.Errorf("%s is not alone on %s", pod.Name, pod.Spec.NodeName), m.deletePodNow(ctx, pod.Name))
		}
		occupied.Insert(pod.Spec.NodeName)
	}
	return nil
}

// transitions returns how often the Lease's holder has changed since settle.
func (m *measurement) transitions(ctx context.Context, w *workload) (int, error) {
	if w.plain() {
		return 0, nil
	}
	lease, err := m.Client.CoordinationV1().Leases(namespace).Get(ctx, w.name(), metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	return int(ptr.Deref(lease.Spec.LeaseTransitions, 0) - w.epoch), nil
}

// standby returns the name of a Ready pod of the workload that is not the master.
func (m *measurement) standby(ctx context.Context, w *workload) (string, error) {
	pods, err := m.pods(ctx, w)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Name != w.master.Name && ready(&pod) })
	if i < 0 {
		return "", fmt.Errorf("%s has no standby", w.name())
	}
	return pods[i].Name, nil
}

// editHolder asks for a switchover to that pod.
func (m *measurement) editHolder(ctx context.Context, w *workload, to string) error {
	patch := fmt.Appendf(nil, `{"spec":{"holderIdentity":%q}}`, to)
	_, err := m.Client.CoordinationV1().Leases(namespace).Patch(ctx, w.name(), types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// deletePodNow deletes a pod without a grace period. It is no error if the pod is gone.
func (m *measurement) deletePodNow(ctx context.Context, name string) error {
	err := m.Client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// deleteNamespace deletes everything that a measurement creates, and waits until it
// is gone.
func (m *measurement) deleteNamespace(ctx context.Context) error {
	_, err := m.Kubectl(ctx, "", "delete", "namespace", namespace, "--ignore-not-found", "--timeout=3m")
	return err
}

// eventually waits until the condition returns nil.
func (m *measurement) eventually(ctx context.Context, what string, condition func() error) error {
	var last error
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	}); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		return fmt.Errorf("not within %s: %s: %w", patience, what, last)
	}
	return nil
}

func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
