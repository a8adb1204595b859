// Package traffic runs clients of the target as pods of a cluster.
package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// Pod is a client pod, which sends requests again and again from its node.
type Pod struct {
	pods typedcorev1.PodInterface
	name string
}

// Start creates a client pod on the node. It has a container for each key of asks,
// and the value is the arguments of the target's program, such as
// {"request", "-url", "http://web"}. Start does not wait for answers.
func Start(ctx context.Context, client kubernetes.Interface, namespace, node, image string, asks map[string][]string) (*Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "client-"},
		Spec: corev1.PodSpec{
			NodeName:      node, // past the scheduler, so that taints do not matter
			RestartPolicy: corev1.RestartPolicyNever,
		},
	}
	for _, name := range slices.Sorted(maps.Keys(asks)) {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: image, Args: asks[name]})
	}
	pods := client.CoreV1().Pods(namespace)
	pod, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return &Pod{pods: pods, name: pod.Name}, nil
}

// Read returns the requests that a container has recorded, in the order of sending:
// those in the last tail lines of its log, or all if tail is 0. All are those that
// the kubelet has not yet rotated away; it keeps at most 10 MiB by default.
func (p *Pod) Read(ctx context.Context, container string, tail int64) (requests []record.Request, err error) {
	options := &corev1.PodLogOptions{Container: container}
	if tail != 0 {
		options.TailLines = &tail
	}
	log, err := p.pods.GetLogs(p.name, options).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(log) {
		var r record.Request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%w: %q", err, line)
		}
		requests = append(requests, r)
	}
	// The log has them in the order in which they were done.
	slices.SortFunc(requests, func(a, b record.Request) int { return a.Sent.Compare(b.Sent) })
	return requests, nil
}

// Delete deletes the pod at once.
func (p *Pod) Delete(ctx context.Context) error {
	return p.pods.Delete(ctx, p.name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
}
