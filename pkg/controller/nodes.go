package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/heartbeat"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (c *Controller) nodeStates() observation.NodeStates {
	states := observation.NodeStates{
		Draining: func(node string) bool {
			n, found := c.nodes.get(key{Name: node})
			return found && n.Spec.Unschedulable
		},
		Silent: func(string) bool { return false },
	}
	if c.heartbeats != nil {
		states.Silent = c.heartbeats.Dead
	}
	return states
}

// addHeartbeats makes nodes be listened to, unless timeout is 0.
func (c *Controller) addHeartbeats(timeout time.Duration) {
	if timeout > 0 {
		c.heartbeats = heartbeat.New(c.client, timeout, c.lookAtNode)
	}
}

// wantHeartbeats listens to the nodes, and no longer to others, for the sake of an
// election.
func (c *Controller) wantHeartbeats(k key, nodes sets.Set[string]) {
	if c.heartbeats != nil {
		c.heartbeats.Want(k, nodes)
	}
}

// lookAtNode looks at the elections with pods on the node.
func (c *Controller) lookAtNode(node string) {
	for _, pod := range c.pods.on(node) {
		c.enqueueSelecting(pod)
	}
}

// nodeHandler looks at a node that is cordoned now, or no longer is: masters may come to
// it then.
func (c *Controller) nodeHandler() cache.TypedResourceEventHandler[*corev1.Node] {
	return cache.TypedResourceEventHandlerFuncs[*corev1.Node]{
		AddFunc: func(n *corev1.Node) { c.lookAtNode(n.Name) },
		DeleteFunc: func(deleted cache.DeletedObject[*corev1.Node]) {
			if deleted.OptionalObj != nil {
				c.lookAtNode(deleted.OptionalObj.Name)
			}
		},
	}
}

func (c *Controller) cordoned(ctx context.Context, node string) (bool, error) {
	n, err := c.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && n.Spec.Unschedulable, err
}
