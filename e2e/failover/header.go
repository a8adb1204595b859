package failover

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

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
	proxy, err := cluster.Client.CoreV1().ConfigMaps(kind.Namespace).Get(ctx, "kube-proxy", metav1.GetOptions{})
	if err != nil {
		return h, err
	}
	var config struct {
		Mode     string `json:"mode"`
		IPTables struct {
			MinSyncPeriod string `json:"minSyncPeriod"`
		} `json:"iptables"`
	}
	if err := yaml.Unmarshal([]byte(proxy.Data["config.conf"]), &config); err != nil {
		return h, fmt.Errorf("kube-proxy's config.conf: %w", err)
	}
	return results.Header{
		Kubernetes: version.GitVersion,
		Nodes:      1 + len(cluster.Workers),
		CPUs:       int(node.Status.Capacity.Cpu().Value()),
		KubeProxy:  results.KubeProxy{Mode: config.Mode, MinSyncPeriod: config.IPTables.MinSyncPeriod},
		Readiness:  readiness,
		Client:     client,
		Probe:      probe,
	}, nil
}
