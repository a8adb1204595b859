package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"qoqo.dev/active-standby-controller/pkg/nodeprobe"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// kubeletPort is where a kubelet listens that does not say where.
const kubeletPort = 10250

// ProbeNodes has the nodes that have candidates asked each second whether they live. One that is
// silent for the timeout counts as dead. It must be called before Run and State, or not at all. The
// controller must be allowed to read nodes.
func (c *Controller) ProbeNodes(timeout time.Duration) {
	var witness nodeprobe.Witness = noHeartbeats{c}
	if c.heartbeats != nil {
		witness = c.heartbeats
	}
	c.nodeProbes = nodeprobe.New(timeout, c.kubelet, witness, c.lookAtNode)
}

// kubelet returns where the kubelet of a node listens; nothing if that is not known, or is no
// address of another machine.
func (c *Controller) kubelet(name string) (address string, port uint16) {
	find := c.nodesKnown(observation.Inputs{}).Find
	if find == nil {
		return "", 0
	}
	node := find(name)
	if node == nil {
		return "", 0
	}
	port = kubeletPort
	if own := node.Status.DaemonEndpoints.KubeletEndpoint.Port; own > 0 && own <= 65535 {
		port = uint16(own)
	}
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && a.Address != "" && probe.Barred(a.Address) == "" {
			return a.Address, port
		}
	}
	return "", 0
}

// noHeartbeats is the witness of a controller that does not listen to heartbeats.
type noHeartbeats struct{ c *Controller }

// Heard implements nodeprobe.Witness.
func (noHeartbeats) Heard(string) time.Time { return time.Time{} }

// Read implements nodeprobe.Witness: a replica that cannot reach the API server suspects no node.
func (w noHeartbeats) Read(ctx context.Context, name string) error {
	_, err := w.c.live.Node(ctx, name)
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
