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

// offNode is a node that was off until the given time.
type offNode struct {
	name  string
	until time.Time
}

// nodeIsUp waits until every pod on the node that was off has started again. It does
// not rely on Ready: if the node was off only briefly, Kubernetes never noticed, and
// still shows its pods as Ready before they run again.
func (m *measurement) nodeIsUp(ctx context.Context) error {
	if m.off == nil {
		return nil
	}
	if err := m.eventually(ctx, "the pods on "+m.off.name+" have started", func() error {
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

// startedSince returns an error if a pod is not Ready, or has a container that does
// not run or was started before that time. It ignores pods that have ended.
func startedSince(pods []corev1.Pod, when time.Time) error {
	when = when.Truncate(time.Second) // Kubernetes' times have no fractions
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		for _, container := range pod.Status.ContainerStatuses {
			if running := container.State.Running; running == nil || running.StartedAt.Time.Before(when) {
				return fmt.Errorf("%s of %s has not started again", container.Name, pod.Name)
			}
		}
		if !ready(&pod) {
			return fmt.Errorf("%s is not Ready", pod.Name)
		}
	}
	return nil
}

// gather moves the masters of the workloads to one worker. That worker has one of the
// controller's replicas if withController is true, and none otherwise.
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
		// The replicas must be on different nodes, so that one survives.
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

// moveTo makes the workload's pod on that node its master.
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
			return fmt.Errorf("no pod is on that node")
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

// apart moves the masters of other workloads off the node of this workload's master.
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
				return fmt.Errorf("no Ready pod is on another node")
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
