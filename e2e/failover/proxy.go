package failover

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// The ConfigMap of kube-proxy, its key with the configuration, and the DaemonSet, as
// kubeadm names them.
const (
	proxyConfig    = "kube-proxy"
	proxyConfigKey = "config.conf"
	proxyPods      = "daemonset/kube-proxy"
)

// readProxy returns how kube-proxy is configured on the nodes.
func readProxy(ctx context.Context, cluster *kind.Cluster) (p results.KubeProxy, err error) {
	_, config, err := proxyConfiguration(ctx, cluster)
	if err != nil {
		return p, err
	}
	p.Mode, _ = config["mode"].(string)
	// The settings of a mode have its name.
	if settings, is := config[p.Mode].(map[string]any); is {
		p.MinSyncPeriod, _ = settings["minSyncPeriod"].(string)
	}
	return p, nil
}

// proxyConfiguration returns kube-proxy's ConfigMap, and the configuration in it.
func proxyConfiguration(ctx context.Context, cluster *kind.Cluster) (found *corev1.ConfigMap, config map[string]any, err error) {
	if found, err = cluster.Client.CoreV1().ConfigMaps(kind.Namespace).Get(ctx, proxyConfig, metav1.GetOptions{}); err != nil {
		return nil, nil, err
	}
	if err := yaml.Unmarshal([]byte(found.Data[proxyConfigKey]), &config); err != nil {
		return nil, nil, fmt.Errorf("kube-proxy's %s: %w", proxyConfigKey, err)
	}
	return found, config, nil
}

// setProxy configures kube-proxy, and waits until it runs so on every node.
func setProxy(ctx context.Context, cluster *kind.Cluster, p results.KubeProxy) error {
	found, config, err := proxyConfiguration(ctx, cluster)
	if err != nil {
		return err
	}
	settings, is := config[p.Mode].(map[string]any)
	if !is {
		return fmt.Errorf("kube-proxy's %s has no settings of mode %q", proxyConfigKey, p.Mode)
	}
	config["mode"], settings["minSyncPeriod"] = p.Mode, p.MinSyncPeriod
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	found.Data[proxyConfigKey] = string(text)
	if _, err := cluster.Client.CoreV1().ConfigMaps(kind.Namespace).Update(ctx, found, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err := cluster.Kubectl(ctx, "", "-n", kind.Namespace, "rollout", "restart", proxyPods); err != nil {
		return err
	}
	return cluster.AwaitRollout(ctx, kind.Namespace, proxyPods)
}
