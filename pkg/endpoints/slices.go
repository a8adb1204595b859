// Package endpoints makes the EndpointSlices of a Service whose only endpoint
// is one pod, as Kubernetes' own EndpointSlice controller would make them if
// the Service selected that pod and no other.
//
// What the module k8s.io/endpointslice exports of that controller is used; of
// the rest, a comment names the function there that is followed.
package endpoints

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice/trafficdist"
	utilnet "k8s.io/utils/net"
)

// Slices returns one slice for each address family of the Service, in the
// order of its ipFamilies; zone is that of the pod's node, empty if unknown.
// With pod == nil the slices have no endpoints.
//
// Their name, owner and label endpointslice.kubernetes.io/managed-by are the
// caller's to add. A pod whose node is gone, which Kubernetes' controller leaves out,
// is listed here without a zone, until its pod is gone too.
func Slices(service *corev1.Service, pod *corev1.Pod, zone string) []*discoveryv1.EndpointSlice {
	var made []*discoveryv1.EndpointSlice
	for _, family := range families(service) {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: service.Namespace, Labels: sliceLabels(service)},
			AddressType: discoveryv1.AddressType(family),
			Endpoints:   []discoveryv1.Endpoint{},
			Ports:       []discoveryv1.EndpointPort{},
		}
		// Without an endpoint there are no ports either.
		if addresses := addressesOf(pod, family); len(addresses) > 0 {
			slice.Endpoints = append(slice.Endpoints, endpoint(service, pod, zone, addresses))
			slice.Ports = ports(service, pod)
		}
		made = append(made, slice)
	}
	if !topologyAware(service) {
		made, _, _ = trafficdist.ReconcileHints(service.Spec.TrafficDistribution, made, nil, nil)
	}
	return made
}

// families follows getAddressTypesForService.
func families(service *corev1.Service) []corev1.IPFamily {
	switch {
	case len(service.Spec.IPFamilies) > 0:
		return service.Spec.IPFamilies
	case headless(service):
		return []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	case utilnet.IsIPv6String(service.Spec.ClusterIP):
		return []corev1.IPFamily{corev1.IPv6Protocol}
	default:
		return []corev1.IPFamily{corev1.IPv4Protocol}
	}
}

// sliceLabels follows setEndpointSliceLabels, which keeps three keys for itself.
func sliceLabels(service *corev1.Service) map[string]string {
	labels := map[string]string{}
	for key, value := range service.Labels {
		switch key {
		case discoveryv1.LabelServiceName, discoveryv1.LabelManagedBy, corev1.IsHeadlessService:
		default:
			labels[key] = value
		}
	}
	labels[discoveryv1.LabelServiceName] = service.Name
	if headless(service) {
		labels[corev1.IsHeadlessService] = ""
	}
	return labels
}

// headless follows isServiceIPSet.
func headless(service *corev1.Service) bool {
	return service.Spec.ClusterIP == corev1.ClusterIPNone || service.Spec.ClusterIP == ""
}

// topologyAware follows hintsEnabled: the Service asks for hints by an
// annotation, which comes before its trafficDistribution. These hints need an
// endpoint for each of two zones at least, so one endpoint never gets any.
func topologyAware(service *corev1.Service) bool {
	mode, found := service.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !found {
		mode = service.Annotations[corev1.AnnotationTopologyMode]
	}
	return mode == "Auto" || mode == "auto"
}
