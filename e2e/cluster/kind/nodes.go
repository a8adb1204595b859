package kind

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Exec runs a program inside a node and returns what it printed.
func (c *Cluster) Exec(ctx context.Context, node, program string, args ...string) (string, error) {
	return run(ctx, "", "docker", append([]string{"exec", node, program}, args...)...)
}

// Docker runs a docker command, such as kill, on a node's container.
func (c *Cluster) Docker(ctx context.Context, node, command string, options ...string) error {
	_, err := run(ctx, "", "docker", append(append([]string{command}, options...), node)...)
	return err
}

// RestartNode turns a node off without a shutdown, and on again.
func (c *Cluster) RestartNode(ctx context.Context, node string) error {
	return c.Docker(ctx, node, "restart", "--time", "0")
}

// Signal sends a signal, such as SIGKILL or SIGSTOP, to the first container of a
// pod. It does so on the node, without the kubelet's knowledge.
func (c *Cluster) Signal(ctx context.Context, namespace, pod, signal string) error {
	p, err := c.Client.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(p.Status.ContainerStatuses) == 0 {
		return fmt.Errorf("the pod %s has no container yet", pod)
	}
	id := strings.TrimPrefix(p.Status.ContainerStatuses[0].ContainerID, "containerd://")
	_, err = c.Exec(ctx, p.Spec.NodeName, "ctr", "--namespace=k8s.io", "tasks", "kill", "--signal", signal, id)
	return err
}
