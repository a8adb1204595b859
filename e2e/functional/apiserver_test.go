//go:build e2e

package functional

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
)

// Traffic continues while the API server is down. When it is back, the master stays, and
// the controller works.
func TestAPIServerRestart(t *testing.T) {
	s := newScene(t)
	lease := s.web("clusterip.yaml")
	master, next := *lease.Spec.HolderIdentity, s.standby("web")
	client := s.request("http://web")
	server := "kube-apiserver-" + cluster.ControlPlane
	pods := cluster.Client.CoreV1().Pods(kind.Namespace)
	killed := assert.Must(pods.Get(t.Context(), server, metav1.GetOptions{}))(s).Status.ContainerStatuses[0].ContainerID
	if err := cluster.Signal(t.Context(), kind.Namespace, server, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the API server is back", func() error {
		pod, err := pods.Get(t.Context(), server, metav1.GetOptions{})
		if err == nil && (pod.Status.ContainerStatuses[0].ContainerID == killed || !isReady(*pod)) {
			err = fmt.Errorf("the kubelet has not reported the new container as Ready")
		}
		return err
	})
	// The edit below is followed only once the replicas have read everything again.
	s.unmoved(lease)
	s.editHolder("web", next)
	s.awaitMaster("web", 2, next)
	client.awaitPod(next)
	client.check(0, master, next)
}
