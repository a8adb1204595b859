package routing

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Trace reads back what Next has written: the highest epoch on any Service,
// slice or pod, and who was routed to in it; the holder is empty if that cannot be told.
func Trace(members []Member, pods []Pod) Assignment {
	var latest Assignment
	see := func(epoch int32, holder types.UID) {
		switch {
		case epoch > latest.Epoch:
			latest = Assignment{holder, epoch}
		case epoch == latest.Epoch && epoch > 0 && latest.HolderUID == "":
			latest.HolderUID = holder
		}
	}
	for _, m := range members {
		if uid := m.Spec.Selector[api.LabelPodUID]; uid != "" && uid != api.NoPod {
			see(Stamp(m), types.UID(uid))
		} else {
			see(Stamp(m), "")
		}
		for _, s := range m.Slices {
			see(Stamp(s), endpointOf(s))
		}
	}
	for _, pod := range pods {
		switch {
		case pod.Elsewhere:
		case pod.Labels[api.LabelDesignation] == api.DesignationActive:
			see(Stamp(pod), pod.UID)
		default:
			see(Stamp(pod), "")
		}
	}
	return latest
}

// Reverted says whether somebody has undone the routing of this very epoch, in
// which key of the Service's selector, and which field manager wrote the selector
// last, "unknown" if nobody says so.
func Reverted(a Assignment, m Member) (key, manager string, reverted bool) {
	_, selecting := m.Spec.Selector[api.LabelPodUID]
	_, detached := m.Spec.Selector[api.LabelRouting]
	// The key of the other routing, or what it has written, shows that the user has
	// chosen this one only now.
	switch {
	case Stamp(m) != a.Epoch || m.Settings.Selectorless:
	case m.Settings.Routing == api.RoutingSelector:
		key, reverted = api.LabelPodUID, m.Spec.Selector[api.LabelPodUID] != selected(a) && !detached && len(m.Slices) == 0
	case m.Settings.Routing == api.RoutingEndpointSlice:
		key, reverted = api.LabelRouting, !detached && !selecting
	}
	if !reverted {
		return "", "", false
	}
	return key, selectorManager(m.Service), true
}

func selectorManager(service *corev1.Service) string {
	writers := slices.Clone(service.ManagedFields)
	writers = slices.DeleteFunc(writers, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == api.ManagedBy || e.FieldsV1 == nil || !strings.Contains(e.FieldsV1.GetRawString(), `"f:selector"`)
	})
	if len(writers) == 0 {
		return "unknown"
	}
	return slices.MaxFunc(writers, func(a, b metav1.ManagedFieldsEntry) int {
		return a.Time.Time.Compare(b.Time.Time)
	}).Manager
}
