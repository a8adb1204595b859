package local

import (
	_ "embed"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const loopback = "127.0.0.1"

var (
	//go:embed audit-policy.yaml
	auditPolicy []byte
	//go:embed stages.yaml
	stages []byte
)

// Files of the state directory, in which the programs run.
const (
	auditLogFile    = "audit.log"
	auditPolicyFile = "audit-policy.yaml"
	stagesFile      = "stages.yaml"

	// The sockets of etcd, which expects a host and a port. The paths are relative
	// because an absolute path could exceed the length limit of a socket.
	etcdClientURL = "unix://client:0"
	etcdPeerURL   = "unix://peer:0"
)

// controllers are the controllers that Services, their pods and nodes need, and the one that checks
// the types of admission policies.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"deployment-controller",
	"disruption-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"node-lifecycle-controller",
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"serviceaccount-controller",
	"statefulset-controller",
	"taint-eviction-controller",
	"validatingadmissionpolicy-status-controller",
}

// flags returns the flags of each program, by its name. The only open port is the
// API server's.
func flags(port int, tireless bool) map[string][]string {
	grace := "50s" // Kubernetes' own
	if tireless {
		grace = "24h"
	}
	return map[string][]string{
		etcd: {
			"--data-dir=etcd",
			"--unsafe-no-fsync",
			"--listen-client-urls=" + etcdClientURL,
			"--advertise-client-urls=" + etcdClientURL,
			"--listen-peer-urls=" + etcdPeerURL,
			"--initial-advertise-peer-urls=" + etcdPeerURL,
			"--initial-cluster=default=" + etcdPeerURL,
		},
		apiServer: {
			"--etcd-servers=" + etcdClientURL,
			"--bind-address=" + loopback,
			"--advertise-address=" + loopback,
			fmt.Sprintf("--secure-port=%d", port),
			"--tls-cert-file=" + servingCertFile,
			"--tls-private-key-file=" + servingKeyFile,
			"--token-auth-file=" + tokensFile,
			"--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + serviceAccountKeyFile,
			"--service-account-signing-key-file=" + serviceAccountKeyFile,
			"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
			// The Service "kubernetes" cannot have a loopback address as its endpoint.
			"--endpoint-reconciler-type=none",
			// It puts finalizers on volumes, and no controller here removes them.
			"--disable-admission-plugins=StorageObjectInUseProtection",
			"--audit-policy-file=" + auditPolicyFile,
			"--audit-log-path=" + auditLogFile,
			// Else a log of 100 MB is begun anew, and who reads it misses what was before.
			"--audit-log-maxsize=0",
		},
		controllerManager: {
			"--kubeconfig=" + programKubeconfig(controllerManager),
			"--controllers=" + strings.Join(controllers, ","),
			"--node-monitor-grace-period=" + grace,
			"--leader-elect=false",
			"--secure-port=0",
		},
		scheduler: {
			"--kubeconfig=" + programKubeconfig(scheduler),
			"--leader-elect=false",
			"--secure-port=0",
		},
		kwok: {
			"--kubeconfig=" + programKubeconfig(kwok),
			"--config=" + stagesFile,
			// A test plays the nodes itself that it creates without this label, and their pods.
			"--manage-nodes-with-label-selector=" + corev1.LabelTopologyRegion + "=" + region,
			"--node-lease-duration-seconds=40", // like a kubelet
		},
	}
}

func programKubeconfig(program string) string { return program + ".kubeconfig" }
