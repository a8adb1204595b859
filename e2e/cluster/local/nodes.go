package local

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const maxNodes = 100

// region is the region of the nodes that kwok plays.
const region = "local"

// createNodes registers the nodes that kwok plays, and a default StorageClass for
// the stage "claim-bound".
func createNodes(ctx context.Context, client kubernetes.Interface, count int) error {
	for i := range count {
		if _, err := client.CoreV1().Nodes().Create(ctx, newNode(i+1), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create node: %w", err)
		}
	}
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "standard",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: "kwok.x-k8s.io/claim-bound",
	}
	if _, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create storage class: %w", err)
	}
	return nil
}

// newNode returns the node with the given number, from 1 to maxNodes. kwok gives
// each of its pods an address of each pod CIDR, but may run past the CIDR's end.
// The CIDRs are larger than needed, so that addresses of two nodes never collide.
func newNode(number int) *corev1.Node {
	name := fmt.Sprintf("node-%d", number)
	// A kubelet allows 110 pods. The pods of all tests together are more.
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("8"),
		corev1.ResourceMemory:           resource.MustParse("32Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		corev1.ResourcePods:             resource.MustParse("10000"),
	}
	podCIDRs := []string{fmt.Sprintf("10.%d.0.0/16", 100+number), fmt.Sprintf("fd00:10:%d::/64", 100+number)}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:       name,
				corev1.LabelOSStable:       "linux",
				corev1.LabelArchStable:     "amd64",
				corev1.LabelTopologyRegion: region,
				corev1.LabelTopologyZone:   fmt.Sprintf("zone-%d", (number-1)%3+1),
			},
		},
		Spec: corev1.NodeSpec{PodCIDR: podCIDRs[0], PodCIDRs: podCIDRs},
		Status: corev1.NodeStatus{
			Capacity:    resources,
			Allocatable: resources,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("192.168.0.%d", number)},
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("fd00:192:168::%x", number)},
				{Type: corev1.NodeHostName, Address: name},
			},
		},
	}
}

// waitForCluster waits until pods can be created and run. It waits for what kwok and
// two of the controllers write.
func waitForCluster(ctx context.Context, client kubernetes.Interface, nodes int) error {
	missing := "the nodes"
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		now, err := missingFromCluster(ctx, client, nodes)
		if err != nil {
			return false, err
		}
		missing = now
		return missing == "", nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", missing, err)
	}
	return nil
}

// missingFromCluster names what the cluster still lacks, or returns "".
func missingFromCluster(ctx context.Context, client kubernetes.Interface, nodes int) (string, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	usable := 0
	for _, node := range list.Items {
		if isReady(&node) && len(node.Spec.Taints) == 0 {
			usable++
		}
	}
	if usable < nodes {
		return fmt.Sprintf("%d of %d nodes", nodes-usable, nodes), nil
	}
	accounts, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	if len(accounts.Items) == 0 {
		return "the default service account", nil
	}
	return "", nil
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
