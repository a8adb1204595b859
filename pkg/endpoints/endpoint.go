package endpoints

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/endpointslice"
	"k8s.io/endpointslice/util"
	utilnet "k8s.io/utils/net"
)

// Listable reports whether a Service that selects the pod lists it, ready or not.
func Listable(pod *corev1.Pod) bool { return util.ShouldPodBeInEndpoints(pod, true) }

// addressesOf follows getEndpointAddresses. It returns the pod's addresses of a family;
// none if the pod is nil or not Listable. A terminating pod still is.
func addressesOf(pod *corev1.Pod, family corev1.IPFamily) []string {
	if pod == nil || !Listable(pod) {
		return nil
	}
	var addresses []string
	for _, podIP := range pod.Status.PodIPs {
		ip := utilnet.ParseIPSloppy(podIP.IP)
		if utilnet.IsIPv6(ip) == (family == corev1.IPv6Protocol) {
			addresses = append(addresses, ip.String())
		}
	}
	return addresses
}

// endpoint follows podToEndpoint.
func endpoint(service *corev1.Service, pod *corev1.Pod, zone string, addresses []string) discoveryv1.Endpoint {
	serving, terminating := util.IsPodReady(pod), pod.DeletionTimestamp != nil
	ready := service.Spec.PublishNotReadyAddresses || serving && !terminating
	e := discoveryv1.Endpoint{
		Addresses:  addresses,
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		e.NodeName = &pod.Spec.NodeName
	}
	if zone != "" {
		e.Zone = &zone
	}
	if util.ShouldSetHostname(pod, service) {
		e.Hostname = &pod.Spec.Hostname
	}
	return e
}

// HasPort reports whether an endpoint of the pod would have a port. It is true if the Service
// has no ports, because its endpoints need none then.
func HasPort(service *corev1.Service, pod *corev1.Pod) bool {
	return len(service.Spec.Ports) == 0 || len(ports(service, pod)) > 0
}

// ports follows getEndpointPorts. A named port that the pod does not have is left out.
func ports(service *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	found := []discoveryv1.EndpointPort{}
	for _, port := range service.Spec.Ports {
		number, err := endpointslice.FindPort(pod, &port)
		if err != nil {
			continue
		}
		found = append(found, discoveryv1.EndpointPort{
			Name: &port.Name, Port: new(int32(number)), Protocol: &port.Protocol, AppProtocol: port.AppProtocol, //nolint:gosec // a port
		})
	}
	if len(found) > 1 {
		// This sorts them, in the order of Kubernetes' controller. It takes long.
		util.NewPortMapKey(found)
	}
	return found
}
