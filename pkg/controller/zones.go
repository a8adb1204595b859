package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

const (
	// zoneFor is for how long a node's zone is remembered. It does not change while
	// the node exists.
	zoneFor = time.Hour
	// noZoneFor is for how long it is remembered that it has none, as a cloud's
	// controller may have yet to label it.
	noZoneFor = time.Minute
	// zonesMax is of how many nodes; forgetting one costs a request.
	zonesMax = 4096
)

// withZone adds the zone of its node to the holder, whose endpoint names it.
func (c *Controller) withZone(ctx context.Context, o *observation.Observation, holder types.UID) error {
	if !slices.ContainsFunc(o.Members, observation.HasSlices) {
		return nil
	}
	i := slices.IndexFunc(o.Pods, func(p routing.Pod) bool { return p.UID == holder })
	if i < 0 || o.Pods[i].Spec.NodeName == "" {
		return nil
	}
	zone, err := c.zone(ctx, o.Pods[i].Spec.NodeName)
	o.Pods[i].Zone = zone
	return err
}

func (c *Controller) zone(ctx context.Context, node string) (string, error) {
	if zone, known := c.zones.Get(node); known {
		return zone.(string), nil
	}
	n, err := c.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("asking for the zone of the node %s: %w", node, err)
	}
	zone := n.Labels[corev1.LabelTopologyZone]
	remembered := zoneFor
	if zone == "" {
		remembered = noZoneFor
	}
	c.zones.Add(node, zone, remembered)
	return zone, nil
}
