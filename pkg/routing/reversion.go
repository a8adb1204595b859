package routing

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// Reversion tells that another writer has undone the routing of the present epoch.
type Reversion struct {
	// Key is the key of the Service's selector that was overwritten.
	Key string
	// Manager is the field manager, other than the controller, that wrote the selector
	// last; "unknown" if the Service does not name one.
	Manager string
	// Inferred: the stamp is gone too. Another replica may be about to route a Service that has
	// just joined the election, unless this one has seen it routed.
	Inferred bool
}

// reversion finds out whether another writer has undone the routing of the epoch. It
// finds nothing in a Service that was last written for another epoch. A writer that replaces
// the Service takes the stamp, too. Then other objects tell that the Service was routed: the
// Lease, with the holder that is designated after that, or own slices.
func reversion(a Assignment, m observation.Member, holder *observation.Pod) (r Reversion, found bool) {
	promoted := holder != nil && !holder.Elsewhere && observation.Stamp(holder) == a.Epoch && holder.Labels[api.LabelDesignation] == api.DesignationActive
	published := len(m.Slices) > 0 && !slices.ContainsFunc(m.Slices, observation.Transitional)
	written := observation.Stamp(m) == a.Epoch
	_, selecting := m.Spec.Selector[api.LabelPodUID]
	_, detached := m.Spec.Selector[api.LabelRouting]
	replaced := m.Recorded && !observation.MarkedService(m.Service) && !selecting && !detached
	// The key of the other routing, or slices that it has left, show that the user has only
	// now chosen this routing.
	key, reverted := "", false
	switch {
	case m.Settings.Selectorless:
	case m.Settings.Routing == api.RoutingSelector && (written || replaced && promoted && !m.Contested):
		key, reverted = api.LabelPodUID, m.Spec.Selector[api.LabelPodUID] != selected(a) && !detached && len(m.Slices) == 0
	case m.Settings.Routing == api.RoutingEndpointSlice && (written || replaced && published):
		key, reverted = api.LabelRouting, !detached && !selecting
	}
	if !reverted {
		return Reversion{}, false
	}
	return Reversion{key, selectorManager(m.Service), replaced}, true
}

const unknownManager = "unknown"

// selectorManager returns the field manager that wrote the Service's selector last.
func selectorManager(service *corev1.Service) string {
	writers := slices.DeleteFunc(slices.Clone(service.ManagedFields), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == api.ManagedBy || !claimsSelector(e)
	})
	if len(writers) == 0 {
		return unknownManager
	}
	return slices.MaxFunc(writers, func(a, b metav1.ManagedFieldsEntry) int {
		// An entry may have no time.
		return ptr.Deref(a.Time, metav1.Time{}).Compare(ptr.Deref(b.Time, metav1.Time{}).Time)
	}).Manager
}

// wroteSelector reports whether the controller wrote the Service's selector last. Whoever writes a
// selector claims it, and takes it from others; only the controller gives its claim up.
func wroteSelector(service *corev1.Service) bool {
	return len(service.ManagedFields) > 0 && !slices.ContainsFunc(service.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != api.ManagedBy && claimsSelector(e)
	})
}

// KeptManagers returns the managed fields that are worth keeping of a Service that is watched:
// all as long as the controller has to give up a claim; else those by which a Reversion names
// its manager.
func KeptManagers(service *corev1.Service) []metav1.ManagedFieldsEntry {
	if !disown(service).Empty() {
		return service.ManagedFields
	}
	manager := selectorManager(service)
	if manager == unknownManager {
		return nil
	}
	return []metav1.ManagedFieldsEntry{{Manager: manager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:selector":{}}}`)}}
}
