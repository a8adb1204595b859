//go:build e2e

package functional

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// A request to any node reaches the master.
func TestNodePort(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := *s.web("nodeport.yaml").Spec.HolderIdentity
	next := s.standby("web")
	port := assert.Must(cluster.Client.CoreV1().Services(s.namespace).Get(t.Context(), "web", metav1.GetOptions{}))(s).Spec.Ports[0].NodePort
	var clients []*clientPod
	for _, node := range assert.Must(cluster.Client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}))(s).Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				clients = append(clients, s.request(fmt.Sprintf("http://%s:%d", address.Address, port)))
			}
		}
	}
	s.editHolder("web", next)
	for _, client := range clients {
		client.awaitPod(next)
		client.check(0, master, next)
	}
}
