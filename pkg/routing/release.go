package routing

import (
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// MarkedService says whether the controller has written to the Service.
func MarkedService(service *corev1.Service) bool {
	_, stamped := service.Annotations[api.AnnotationLeaseTransitions]
	return stamped
}

// ReleaseService takes away what the controller wrote to a Service. A key that
// a user put into the selector beforehand, of a Service never written to, stays.
func ReleaseService(service *corev1.Service) Change {
	p := changeOf(KindService, service)
	if MarkedService(service) {
		unset(p.Selector, service.Spec.Selector, api.LabelPodUID)
		unset(p.Selector, service.Spec.Selector, api.LabelRouting)
		unset(p.Annotations, service.Annotations, api.AnnotationLeaseTransitions)
	}
	return p
}

// MarkedPod says whether the controller has written to the pod. The
// predecessor's mark, a designation alone, does not count.
func MarkedPod(pod *corev1.Pod) bool {
	_, stamped := pod.Annotations[api.AnnotationLeaseTransitions]
	_, identified := pod.Labels[api.LabelPodUID]
	return stamped || identified
}

// ReleasePod takes away what the controller wrote to a pod.
func ReleasePod(pod *corev1.Pod) Change {
	p := changeOf(KindPod, pod)
	unset(p.Labels, pod.Labels, api.LabelPodUID)
	if _, stamped := pod.Annotations[api.AnnotationLeaseTransitions]; stamped {
		unset(p.Labels, pod.Labels, api.LabelDesignation)
		unset(p.Annotations, pod.Annotations, api.AnnotationLeaseTransitions)
		unsetDeletionCost(p, pod)
	}
	return p
}
