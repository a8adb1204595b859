package observation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Member is a Service of an election that can be served.
type Member struct {
	*corev1.Service
	Settings api.Settings
	// Slices are the EndpointSlices of the Service that are the controller's own.
	Slices []*discoveryv1.EndpointSlice
	// Listed are the pods in the slices of Kubernetes' controller, true for those that are
	// ready. It is known of a member that is Migrating, with the evidence Live.
	Listed map[types.UID]bool
}

// HasSlices reports whether the member has slices of its own, or must have.
func (m Member) HasSlices() bool {
	return m.Settings.Routing == api.RoutingEndpointSlice || len(m.Slices) > 0
}

// Migrating reports whether the member is on its way to or from slices of its own. Then
// it matters at which step it is now, and not in a cache; and that changes without a
// change of the member, because Kubernetes' controller follows at any time.
func (m Member) Migrating() bool {
	if m.Settings.Routing == api.RoutingEndpointSlice {
		return !Detached(m.Service) || len(m.Slices) == 0 || slices.ContainsFunc(m.Slices, Handing)
	}
	return Detached(m.Service) || len(m.Slices) > 0
}

// Pod is a pod that the election's Services select or selected.
type Pod struct {
	*corev1.Pod
	// Unselected: it is no candidate, so that it carries no marks.
	Unselected bool
	// Elsewhere: its designation is another election's to write.
	Elsewhere bool
}

// Ready reports whether the pod's condition Ready is True.
func Ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// Finished reports whether the pod has ended.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Active reports whether the pod can run a master: it has not ended, and is not terminating.
func Active(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && !Finished(pod) }
