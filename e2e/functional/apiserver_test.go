//go:build e2e

package functional

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
)

// Traffic goes on while the API server is gone; nothing moves when it is back,
// and then the controller works on.
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
			err = fmt.Errorf("the kubelet has not yet said so")
		}
		return err
	})
	// By the time that an edit is followed the replicas have looked at all that there is.
	s.unmoved(lease)
	s.editHolder("web", next)
	s.awaitMaster("web", 2, next)
	client.awaitPod(next)
	client.check(0, master, next)
}
