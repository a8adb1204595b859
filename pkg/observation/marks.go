package observation

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// What the controller writes on Services, pods and EndpointSlices is read back here.

// Stamp returns the epoch for which the object was last written; -1 if it has no stamp that
// can be read.
func Stamp(object interface{ GetAnnotations() map[string]string }) int32 {
	value, err := strconv.ParseInt(object.GetAnnotations()[api.AnnotationLeaseTransitions], 10, 32)
	if err != nil || int32(value) > api.MaxEpoch {
		return -1
	}
	return int32(value)
}

// MarkedService reports whether the controller has written to the Service.
func MarkedService(service *corev1.Service) bool {
	_, stamped := service.Annotations[api.AnnotationLeaseTransitions]
	return stamped
}

// Condition returns the condition that the controller has written into the Service's status; nil if
// there is none.
func Condition(service *corev1.Service) *metav1.Condition {
	return meta.FindStatusCondition(service.Status.Conditions, api.ConditionMasterReady)
}

// MarkedPod reports whether the controller has written to the pod. A designation alone does
// not count: the predecessor writes it too.
func MarkedPod(pod *corev1.Pod) bool {
	_, stamped := pod.Annotations[api.AnnotationLeaseTransitions]
	_, identified := pod.Labels[api.LabelPodUID]
	return stamped || identified
}

// Detached reports whether Kubernetes' controller must publish no endpoints of the Service.
func Detached(service *corev1.Service) bool {
	return len(service.Spec.Selector) == 0 || service.Spec.Selector[api.LabelRouting] == string(api.RoutingEndpointSlice)
}

// Transitional reports whether the slice is marked as one beside which Kubernetes' controller may
// still list pods, because the Service is changing its routing.
func Transitional(s *discoveryv1.EndpointSlice) bool {
	_, found := s.Annotations[api.AnnotationRouting]
	return found
}

// PodStamp returns the epoch for which the pod was last written; -1 if it has no stamp of its
// own. A stamp that was copied from another pod is none.
func PodStamp(pod *corev1.Pod) int32 {
	if uid, _ := witness(pod); uid != pod.UID {
		return -1
	}
	return Stamp(pod)
}

// Held returns the epoch in which the pod was master last; -1 if it is not known to have been.
func Held(pod *corev1.Pod) int32 {
	if uid, _ := witness(pod); uid != pod.UID {
		return -1
	}
	return heldBefore(pod)
}

// heldBefore returns the epoch in the object's witness; -1 if there is none.
func heldBefore(object interface{ GetAnnotations() map[string]string }) int32 {
	_, epoch := witness(object)
	if value, err := strconv.ParseInt(epoch, 10, 32); err == nil && value >= 0 && int32(value) <= api.MaxEpoch {
		return int32(value)
	}
	return -1
}

func witness(object interface{ GetAnnotations() map[string]string }) (uid types.UID, held string) {
	of, held, _ := strings.Cut(object.GetAnnotations()[api.AnnotationWitness], "@")
	held, _, _ = strings.Cut(held, "/")
	return types.UID(of), held
}

// MasterOf returns the name of the Lease that the pod held when no Service of it selected the pod
// any longer; empty if there is none. Its processes may run.
func MasterOf(pod *corev1.Pod) string {
	if Held(pod) < 0 {
		return ""
	}
	_, name, _ := strings.Cut(pod.Annotations[api.AnnotationWitness], "/")
	return name
}

// trace returns the highest epoch on any Service, slice or pod, and the last holder that one of
// them knows of. A pod says itself when it was master, and a Service and a slice where they have
// sent traffic.
func trace(members []Member, pods []Pod) election.Trace {
	var latest election.Trace
	see := func(epoch int32, holder types.UID) {
		if epoch < 0 {
			return
		}
		latest.Stamped, latest.Epoch = true, max(latest.Epoch, epoch)
		if holder != "" && epoch > latest.HolderEpoch {
			latest.HolderUID, latest.HolderEpoch = holder, epoch
		}
	}
	for _, m := range members {
		if uid := m.Spec.Selector[api.LabelPodUID]; uid != api.NoPod {
			see(Stamp(m), types.UID(uid))
		} else {
			see(Stamp(m), "")
		}
		for _, s := range m.Slices {
			see(Stamp(s), holderOf(s))
		}
	}
	for _, pod := range pods {
		if !pod.Elsewhere {
			see(PodStamp(pod.Pod), "")
			see(Held(pod.Pod), pod.UID)
		}
	}
	return latest
}

// holderOf returns the UID of the pod that one of the controller's own slices lists, or of the
// master that it does not list; empty if it knows of none.
func holderOf(s *discoveryv1.EndpointSlice) types.UID {
	for _, e := range s.Endpoints {
		if e.TargetRef != nil {
			return e.TargetRef.UID
		}
	}
	return types.UID(s.Annotations[api.AnnotationHolderUID])
}
