// Package endpoints makes the EndpointSlices of a Service whose only endpoint is one pod.
// They are what Kubernetes' own EndpointSlice controller would make if the Service
// selected that pod and no other.
//
// The package calls what the module k8s.io/endpointslice exports of that controller. The
// rest is written after functions of that module that are not exported: a comment names
// the function that the code follows.
package endpoints

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice/trafficdist"
	utilnet "k8s.io/utils/net"
)

// Slices returns one slice for each address family of the Service, in the order of its
// ipFamilies. zone is the zone of the pod's node, empty if it is unknown. If pod is nil,
// or is not Listable, the slices have no endpoints. Service and pod are not changed.
//
// The caller must add the slices' name, owner and label
// endpointslice.kubernetes.io/managed-by. A pod whose node is gone is listed without
// a zone until the pod is gone too; Kubernetes' controller leaves such a pod out.
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

// families follows getAddressTypesForService. It returns the Service's address families.
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

// sliceLabels follows setEndpointSliceLabels. It copies the Service's labels, but three
// keys are reserved: a Service's own values of them are left out.
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

// headless follows isServiceIPSet. It reports whether the Service has no cluster IP.
func headless(service *corev1.Service) bool {
	return service.Spec.ClusterIP == corev1.ClusterIPNone || service.Spec.ClusterIP == ""
}

// topologyAware follows hintsEnabled. It reports whether an annotation of the Service asks
// for hints. The annotation comes before trafficDistribution. Its hints need endpoints in
// two zones or more, so one endpoint never gets any.
func topologyAware(service *corev1.Service) bool {
	mode, found := service.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !found {
		mode = service.Annotations[corev1.AnnotationTopologyMode]
	}
	return mode == "Auto" || mode == "auto"
}
