package observation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Member is a Service of an election that can be served.
type Member struct {
	*corev1.Service
	Settings api.Settings
	// Apart: the Service selects no pod that the other members select. It takes no part in the
	// election, and gets no endpoint.
	Apart bool
	// Contested: the Service's selector asks for the designation, and another election decides
	// whether a pod that the Service selects is active. The designation alone does not tell which
	// pod is the master, so the selector must name the master too.
	Contested bool
	// Recorded: the Lease names the Service as an owner, so the Service has taken part before.
	Recorded bool
	// Slices are the EndpointSlices of the Service that are the controller's own.
	Slices []*discoveryv1.EndpointSlice
	// Listed are the pods in the slices of Kubernetes' controller; true for those that are
	// ready. It is set only if the member is Migrating, and complete only with the evidence
	// Live.
	Listed map[types.UID]bool
	// Published are the names of the pods that get the Service's traffic, by their UID: those
	// that its own slices and those of Kubernetes' controller list as ready. It is complete only
	// if the Inputs have SeesPublished.
	Published map[types.UID]string
	// Followed is the value of LabelMigrating on all of those slices that list a pod; empty if
	// one has none, or they differ. Kubernetes' controller works with a Service that is no older
	// than the label's value on it.
	Followed string
}

// ByLabel reports whether the member's traffic goes to no pod that is not designated.
func (m Member) ByLabel() bool {
	_, found := m.Spec.Selector[api.LabelDesignation]
	return found && m.Settings.Routing != api.RoutingEndpointSlice
}

// HasSlices reports whether the member has slices of its own, or must have.
func (m Member) HasSlices() bool {
	return m.Settings.Routing == api.RoutingEndpointSlice || len(m.Slices) > 0
}

// Migrating reports whether the member is changing to or from slices of its own. Its step must
// then be read from the API server: a cache may show a former step, and the step changes without
// a change of the member, whenever Kubernetes' controller follows. The member's label says so
// even where the cache does not show its slices.
func (m Member) Migrating() bool {
	if api.Observes(m.Service) {
		return false
	}
	if _, marked := m.Labels[api.LabelMigrating]; marked {
		return true
	}
	if m.Settings.Routing == api.RoutingEndpointSlice {
		return !Detached(m.Service) || len(m.Slices) == 0 || slices.ContainsFunc(m.Slices, Transitional)
	}
	return Detached(m.Service) || len(m.Slices) > 0
}

// Routes returns the pod to which the member's traffic must go: the holder, which may be nil,
// if the member selects it; otherwise nil.
func (m Member) Routes(holder *Pod) *Pod {
	if holder != nil && (m.Apart || holder.Unselected) && !m.Settings.Candidates.Matches(labels.Set(holder.Labels)) {
		return nil
	}
	return holder
}

// Pod is a pod that the election's Services select or selected.
type Pod struct {
	*corev1.Pod
	// Unselected: the pod is no candidate. It must carry no marks, unless it is Kept.
	Unselected bool
	// Kept: the pod is the holder, and a member selects it, though others do not. As long as it
	// is the holder, traffic of that member goes to it.
	Kept bool
	// Served: a served Service of any election selects the pod, so it keeps its identity label.
	Served bool
	// Elsewhere: another election writes the pod's designation.
	Elsewhere bool
	// Portless: the pod has none of the ports of a Service, and another pod has one.
	Portless bool
	// Node is the pod's node.
	Node Node
}

// Managed reports whether a workload creates the pod anew when it is deleted.
func (p Pod) Managed() bool { return metav1.GetControllerOf(p.Pod) != nil }

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

// Active reports whether the pod has not ended and is not terminating.
func Active(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && !Finished(pod) }
