package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
)

// offNode is a node that was off until then.
type offNode struct {
	name  string
	until time.Time
}

// nodeIsUp waits until everything on the node that was off is started anew. If it
// was not off for long enough, Kubernetes never took notice, and goes on to say
// that its pods are Ready while there are none.
func (m *measurement) nodeIsUp(ctx context.Context) error {
	if m.off == nil {
		return nil
	}
	if err := m.eventually(ctx, "the pods on "+m.off.name+" are started", func() error {
		pods, err := m.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + m.off.name})
		if err != nil {
			return err
		}
		return startedSince(pods.Items, m.off.until)
	}); err != nil {
		return err
	}
	m.off = nil
	return nil
}

// startedSince fails if one of the pods is not Ready, or has a container that was
// started before. Pods that have ended do not matter.
func startedSince(pods []corev1.Pod, when time.Time) error {
	when = when.Truncate(time.Second) // as Kubernetes' times are
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		for _, container := range pod.Status.ContainerStatuses {
			if running := container.State.Running; running == nil || running.StartedAt.Time.Before(when) {
				return fmt.Errorf("%s of %s is not started again", container.Name, pod.Name)
			}
		}
		if !ready(&pod) {
			return fmt.Errorf("%s is not Ready", pod.Name)
		}
	}
	return nil
}

// gather brings the masters of the workloads together on a worker that has, or
// has not, one of the controller's replicas.
func (m *measurement) gather(ctx context.Context, all []*workload, withController bool) error {
	node := ""
	if err := m.eventually(ctx, "the controller's replicas are at rest", func() error {
		controllers, err := m.Client.CoreV1().Pods(kind.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=active-standby-controller"})
		if err != nil {
			return err
		}
		occupied := sets.New[string]()
		for _, pod := range controllers.Items {
			if !ready(&pod) {
				return fmt.Errorf("%s is not Ready", pod.Name)
			}
			occupied.Insert(pod.Spec.NodeName)
		}
		i := slices.IndexFunc(m.Workers, func(node string) bool { return occupied.Has(node) == withController })
		// On a node of their own, or all of them fail.
		if i < 0 || occupied.Len() < 2 {
			return fmt.Errorf("%d replicas are on %v", len(controllers.Items), sets.List(occupied))
		}
		node = m.Workers[i]
		return nil
	}); err != nil {
		return err
	}
	for _, w := range all {
		if err := m.moveTo(ctx, w, node); err != nil {
			return err
		}
	}
	return nil
}

// moveTo makes the pod on that node the workload's master.
func (m *measurement) moveTo(ctx context.Context, w *workload, node string) error {
	return m.eventually(ctx, fmt.Sprintf("the master of %s is on %s", w.name(), node), func() error {
		if err := m.settle(ctx, w); err != nil || w.master.Spec.NodeName == node {
			return err
		}
		pods, err := m.pods(ctx, w)
		if err != nil {
			return err
		}
		there := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Spec.NodeName == node })
		if there < 0 {
			return fmt.Errorf("no pod is there")
		}
		if w.plain() {
			w.master = &pods[there]
			return nil
		}
		if err := m.editHolder(ctx, w, pods[there].Name); err != nil {
			return err
		}
		return fmt.Errorf("it is on %s", w.master.Spec.NodeName)
	})
}

// apart moves the other workloads' masters off the node of this one's.
func (m *measurement) apart(ctx context.Context, w *workload) error {
	for _, other := range m.workloads {
		if other == w || other.plain() {
			continue
		}
		if err := m.eventually(ctx, fmt.Sprintf("the master of %s is not with that of %s", other.name(), w.name()), func() error {
			pods, err := m.pods(ctx, other)
			if err != nil {
				return err
			}
			if err := m.findMaster(ctx, other, pods); err != nil {
				return err
			}
			node := w.master.Spec.NodeName
			if other.master.Spec.NodeName != node {
				return nil
			}
			elsewhere := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Spec.NodeName != node && ready(&pod) })
			if elsewhere < 0 {
				return fmt.Errorf("no Ready pod is elsewhere")
			}
			if err := m.editHolder(ctx, other, pods[elsewhere].Name); err != nil {
				return err
			}
			return fmt.Errorf("both are on %s", node)
		}); err != nil {
			return err
		}
	}
	return nil
}

// setUnschedulable cordons a node, or puts it in service again.
func (m *measurement) setUnschedulable(ctx context.Context, node string, unschedulable bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, unschedulable)
	_, err := m.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
