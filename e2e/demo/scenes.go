package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// Names and numbers from examples/. The Services web and web-all select the same pods.
const (
	namespace    = "default"
	service      = "web"
	plain        = "web-all"
	discovery    = "db"
	webPods      = 3
	databasePods = 3
)

type demo struct {
	plane        *local.Plane
	client       kubernetes.Interface
	installation *install.Installation
	endpoints    *endpoints
}

func (d *demo) scenes(ctx context.Context) (err error) {
	if d.endpoints, err = watchEndpoints(ctx, d.client, namespace); err != nil {
		return err
	}
	for _, scene := range []func(context.Context) error{d.examples, d.notReady, d.deleted, d.switchover, d.refused, d.paused, d.rollout, d.optOut} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) examples(ctx context.Context) error {
	title("The examples")
	for _, example := range []string{"routing", "master-discovery"} {
		if err := d.show(ctx, "apply", "-f", filepath.Join(d.installation.Root, "examples", example)); err != nil {
			return err
		}
	}
	for name, pods := range map[string]int{plain: webPods, service: 1, discovery: 1} {
		if _, _, err := d.endpoints.await(ctx, name, func(ready []string) bool { return len(ready) == pods }); err != nil {
			return err
		}
	}
	say("The annotated Services have one master each, and the plain one has all its pods:\n")
	return d.look(ctx)
}

// look shows what a user would look at.
func (d *demo) look(ctx context.Context) error {
	if err := d.show(ctx, "get", "lease"); err != nil {
		return err
	}
	if err := d.show(ctx, "get", "pods", "-L", "qoqo.dev/pod-designation"); err != nil {
		return err
	}
	say("Ready endpoints:")
	for _, name := range []string{service, plain, discovery} {
		pods, _ := d.endpoints.ready(name)
		say("  %-8s %v", name, pods)
	}
	return nil
}

func (d *demo) notReady(ctx context.Context) error {
	title("The master turns NotReady")
	return d.switchAfter(ctx, func(master string) error {
		say("Its readiness probe fails.\n")
		return d.setReady(ctx, master, corev1.ConditionFalse)
	})
}

func (d *demo) deleted(ctx context.Context) error {
	title("The master is deleted")
	return d.switchAfter(ctx, func(master string) error {
		return d.show(ctx, "delete", "pod", master, "--wait=false")
	})
}

// switchAfter lets the master fail or move, and says how long it took until the
// Service's endpoint was another pod. If the plain Service had dropped the old
// master's endpoint by then, it also says how long that took, to show how fast
// Kubernetes alone is.
func (d *demo) switchAfter(ctx context.Context, fail func(master string) error) error {
	before, _ := d.endpoints.ready(service)
	master := before[0]
	say("Master before: %s\n", master)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dropped := make(chan time.Time, 1)
	go func() {
		if _, at, err := d.endpoints.await(ctx, plain, func(ready []string) bool { return !slices.Contains(ready, master) }); err == nil {
			dropped <- at
		}
	}()
	began := time.Now()
	if err := fail(master); err != nil {
		return err
	}
	now, switched, err := d.endpoints.await(ctx, service, func(ready []string) bool { return len(ready) == 1 && ready[0] != master })
	if err != nil {
		return err
	}
	say("Master now:    %s\n", now[0])
	say("%8s  until the endpoint of the new master was there", milliseconds(switched.Sub(began)))
	select {
	case at := <-dropped:
		say("%8s  until the plain Service had dropped the endpoint of the old master", milliseconds(at.Sub(began)))
	default:
	}
	say("")
	if err := d.show(ctx, "get", "lease", service); err != nil {
		return err
	}
	if err := d.showEvents(ctx); err != nil {
		return err
	}
	return d.heal(ctx)
}

// heal makes all pods Ready again.
func (d *demo) heal(ctx context.Context) error {
	pods, err := d.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if err := d.setReady(ctx, pod.Name, corev1.ConditionTrue); err != nil {
			return err
		}
	}
	_, _, err = d.endpoints.await(ctx, plain, func(ready []string) bool { return len(ready) == webPods })
	return err
}

// setReady does what a kubelet does when the result of a readiness probe changes.
func (d *demo) setReady(ctx context.Context, pod string, status corev1.ConditionStatus) error {
	var conditions []corev1.PodCondition
	for _, t := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		conditions = append(conditions, corev1.PodCondition{Type: t, Status: status, LastTransitionTime: metav1.Now()})
	}
	body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
	if err != nil {
		return err
	}
	_, err = d.client.CoreV1().Pods(namespace).Patch(ctx, pod, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

func (d *demo) editHolder(ctx context.Context, pod string) error {
	return d.show(ctx, "patch", "lease", service, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"holderIdentity":%q}}`, pod))
}

// awaitHolder waits until the pod holds the Lease or, if pod is empty, until there is
// no Lease.
func (d *demo) awaitHolder(ctx context.Context, pod string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := d.installation.Kubectl(ctx, waitArguments(pod)...)
	return err
}

func waitArguments(pod string) []string {
	if pod == "" {
		return []string{"wait", "lease", service, "--for=delete", "--timeout=60s"}
	}
	return []string{"wait", "lease", service, "--for=jsonpath={.spec.holderIdentity}=" + pod, "--timeout=60s"}
}

func (d *demo) showEvents(ctx context.Context) error {
	return d.show(ctx, "events", "--for", "service/"+service)
}
