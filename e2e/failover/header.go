package failover

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// Header describes the cluster and the probes with which it is measured.
func Header(ctx context.Context, cluster *kind.Cluster) (h results.Header, err error) {
	version, err := cluster.Client.Discovery().ServerVersion()
	if err != nil {
		return h, err
	}
	node, err := cluster.Client.CoreV1().Nodes().Get(ctx, cluster.ControlPlane, metav1.GetOptions{})
	if err != nil {
		return h, err
	}
	proxy, err := readProxy(ctx, cluster)
	if err != nil {
		return h, err
	}
	return results.Header{
		Kubernetes: version.GitVersion,
		Nodes:      1 + len(cluster.Workers),
		CPUs:       int(node.Status.Capacity.Cpu().Value()),
		KubeProxy:  proxy,
		Readiness:  readiness,
		Client:     client,
		Probe:      probe,
	}, nil
}
