// Package traffic runs clients of the target in a cluster.
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

// Pod asks again and again, from the node that it is bound to.
type Pod struct {
	pods typedcorev1.PodInterface
	name string
}

// Start creates a pod with one container for each of asks, by name: the
// arguments of the target's program, such as {"request", "-url", "http://web"}.
// It does not wait for answers.
func Start(ctx context.Context, client kubernetes.Interface, namespace, node, image string, asks map[string][]string) (*Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "client-"},
		Spec: corev1.PodSpec{
			NodeName:      node, // so that taints, which are for the scheduler, do not matter
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

// Read returns what a container has asked and been told, in the order of
// sending: all of it, or what the last lines say if tail is not 0. All is what
// the kubelet has not yet rotated away, by default the last 10 MiB at most.
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
	// Lines are written when the answer is there.
	slices.SortFunc(requests, func(a, b record.Request) int { return a.Sent.Compare(b.Sent) })
	return requests, nil
}

// Delete deletes the pod at once.
func (p *Pod) Delete(ctx context.Context) error {
	return p.pods.Delete(ctx, p.name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
}
