package controller

import (
	"fmt"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	coordinationinformers "k8s.io/client-go/informers/coordination/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// Indexes of the annotated Services.
const (
	// byLease files them under the key of their election's Lease.
	byLease = "lease"
	// byNamespace files them under their namespace.
	byNamespace = "annotated"
	// bySelected files them under labels of the pods that they select.
	bySelected = "selected"
)

// anyLabel stands in bySelected for Services that select pods by what is no label alone.
const anyLabel = ""

// byHolder is the index of Leases by the UID of the holder.
const byHolder = "holder"

var leaseIndexers = cache.TypedIndexersToIndexers(cache.TypedIndexers[*coordinationv1.Lease]{
	byHolder: func(l *coordinationv1.Lease) ([]string, error) {
		return []string{string(lease.Decode(l).HolderUID)}, nil
	},
})

// addInformers watches, in the namespaces, all Services (an API server cannot select by
// annotation), the controller's Leases, and all EndpointSlices but Kubernetes' own; and
// all nodes (it cannot select by taint either).
func (c *Controller) addInformers(namespaces []string) (err error) {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	c.services, c.leases, c.slices = scoped[*corev1.Service]{}, scoped[*coordinationv1.Lease]{}, scoped[*discoveryv1.EndpointSlice]{}
	for _, namespace := range namespaces {
		watched := newWatched()
		c.watched[namespace] = watched
		services := coreinformers.NewTypedServiceInformerWithOptions(c.client, namespace, internalinterfaces.InformerOptions{Indexers: serviceIndexers})
		if c.services[namespace], err = newStore(services, trimService, c.serviceHandler(), watched); err != nil {
			return fmt.Errorf("watching Services: %w", err)
		}
		leases := coordinationinformers.NewTypedLeaseInformerWithOptions(c.client, namespace, internalinterfaces.InformerOptions{
			Indexers: leaseIndexers,
			TweakListOptions: func(o *metav1.ListOptions) {
				o.LabelSelector = labels.SelectorFromSet(labels.Set{api.LabelManagedBy: api.ManagedBy}).String()
			},
		})
		if c.leases[namespace], err = newStore(leases, trimLease, c.leaseHandler(), watched); err != nil {
			return fmt.Errorf("watching Leases: %w", err)
		}
		endpointSlices := discoveryinformers.NewTypedEndpointSliceInformerWithOptions(c.client, namespace, internalinterfaces.InformerOptions{
			Indexers:         sliceIndexers,
			TweakListOptions: func(o *metav1.ListOptions) { o.LabelSelector = observation.NotBuiltIn },
		})
		if c.slices[namespace], err = newStore(endpointSlices, trimSlice, c.sliceHandler(), watched); err != nil {
			return fmt.Errorf("watching EndpointSlices: %w", err)
		}
	}
	nodes := coreinformers.NewTypedNodeInformerWithOptions(c.client, internalinterfaces.InformerOptions{})
	if c.nodes, err = newStore(nodes, trimNode, c.nodeHandler(), c.nodesWatched); err != nil {
		return fmt.Errorf("watching Nodes: %w", err)
	}
	return nil
}

var serviceIndexers = cache.TypedIndexersToIndexers(cache.TypedIndexers[*corev1.Service]{
	byLease: func(s *corev1.Service) ([]string, error) {
		if !api.Annotated(s) {
			return nil, nil
		}
		return []string{observation.LeaseKey(s).String()}, nil
	},
	byNamespace: func(s *corev1.Service) ([]string, error) {
		if !api.Annotated(s) {
			return nil, nil
		}
		return []string{s.Namespace}, nil
	},
	bySelected: func(s *corev1.Service) (values []string, err error) {
		if !api.Annotated(s) {
			return nil, nil
		}
		selected := api.SelectedLabels(s)
		if selected == nil {
			selected = []string{anyLabel}
		}
		for _, label := range selected {
			values = append(values, inNamespace(s.Namespace, label))
		}
		return values, nil
	},
})

func inNamespace(namespace, label string) string { return namespace + "/" + label }

// selecting returns the annotated Services that select a pod with these labels. It costs what
// the pod has labels, not what the namespace has Services.
func (c *Controller) selecting(namespace string, labels map[string]string) (services []*corev1.Service) {
	of := c.services.in(namespace)
	found := of.by(bySelected, inNamespace(namespace, anyLabel))
	for key, value := range labels {
		found = append(found, of.by(bySelected, inNamespace(namespace, api.Label(key, value)))...)
	}
	for _, s := range found {
		// None is found twice: a Service is filed under the labels of one key.
		if api.Selects(s, labels) {
			services = append(services, s)
		}
	}
	return services
}

// selected returns those of the pods that the Service selects.
func selected(pods store[*corev1.Pod], s *corev1.Service) (of []*corev1.Pod) {
	labels := api.SelectedLabels(s)
	if labels == nil {
		of = pods.by(cache.NamespaceIndex, s.Namespace)
	}
	for _, label := range labels {
		of = append(of, pods.by(byLabel, inNamespace(s.Namespace, label))...)
	}
	return slices.DeleteFunc(of, func(p *corev1.Pod) bool { return !api.Selects(s, p.Labels) })
}

func (c *Controller) annotatedServices(namespace string) []*corev1.Service {
	return c.services.in(namespace).by(byNamespace, namespace)
}

// The trim functions drop what the controller does not read, to save memory.

func trimService(s *corev1.Service) {
	own := observation.Condition(s)
	// A user may set any number of unknown annotations: what is asked of them is asked of those that are kept.
	s.Annotations = api.Kept(s.Annotations)
	if !api.Annotated(s) && !observation.MarkedService(s) && own == nil {
		misspelt := api.MisspeltMode(s)
		s.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}
		s.Spec = corev1.ServiceSpec{}
		if misspelt != "" {
			s.Annotations = map[string]string{misspelt: ""}
		}
	}
	s.ManagedFields = routing.KeptManagers(s)
	if s.Status = (corev1.ServiceStatus{}); own != nil {
		s.Status.Conditions = []metav1.Condition{*own}
	}
}

// trimLease keeps of the managed fields what tells of a program that contends for the Lease.
// Hardly any Lease has that.
func trimLease(l *coordinationv1.Lease) { l.ManagedFields = lease.Contention(l) }

func trimNode(n *corev1.Node) {
	zone, zoned := n.Labels[corev1.LabelTopologyZone]
	n.ObjectMeta = metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion}
	if zoned {
		n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	}
	for i, taint := range n.Spec.Taints {
		n.Spec.Taints[i] = corev1.Taint{Key: taint.Key}
	}
	n.Spec = corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints}
	n.Status = corev1.NodeStatus{
		Addresses:       slices.DeleteFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Type != corev1.NodeInternalIP }),
		DaemonEndpoints: n.Status.DaemonEndpoints,
	}
}

func trimPod(p *corev1.Pod) {
	p.ManagedFields, p.Finalizers, p.Annotations = nil, nil, api.Kept(p.Annotations)
	p.OwnerReferences = slices.DeleteFunc(p.OwnerReferences, func(r metav1.OwnerReference) bool { return !ptr.Deref(r.Controller, false) })
	containers, initContainers := api.KeptContainers(p)
	p.Spec = corev1.PodSpec{
		NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork, Hostname: p.Spec.Hostname, Subdomain: p.Spec.Subdomain,
		Containers: containers, InitContainers: initContainers,
	}
	p.Status = corev1.PodStatus{Phase: p.Status.Phase, Conditions: readyOnly(p.Status.Conditions), PodIP: p.Status.PodIP, PodIPs: p.Status.PodIPs}
}

// readyOnly keeps whether the pod is Ready, and since when.
func readyOnly(conditions []corev1.PodCondition) (kept []corev1.PodCondition) {
	for _, c := range conditions {
		if c.Type == corev1.PodReady {
			kept = append(kept, corev1.PodCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime})
		}
	}
	return kept
}

// trimSlice keeps of the slices of other programs only whose they are.
func trimSlice(s *discoveryv1.EndpointSlice) {
	s.ManagedFields = nil
	if observation.Own(s) {
		return
	}
	s.ObjectMeta = metav1.ObjectMeta{
		Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
		Labels: map[string]string{discoveryv1.LabelManagedBy: s.Labels[discoveryv1.LabelManagedBy], discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]},
	}
	s.Ports, s.Endpoints = nil, nil
}

// trimPublished keeps which pods are listed, and whether they are ready.
func trimPublished(s *discoveryv1.EndpointSlice) {
	s.ObjectMeta = metav1.ObjectMeta{
		Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
		Labels: map[string]string{discoveryv1.LabelManagedBy: observation.BuiltIn, discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]},
	}
	s.Ports = nil
	for i, e := range s.Endpoints {
		s.Endpoints[i] = discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: e.Conditions.Ready}, TargetRef: e.TargetRef}
		if e.TargetRef != nil {
			s.Endpoints[i].TargetRef = &corev1.ObjectReference{Name: e.TargetRef.Name, UID: e.TargetRef.UID}
		}
	}
}

// byService is the index of EndpointSlices by their Service.
const byService = "service"

var sliceIndexers = cache.TypedIndexersToIndexers(cache.TypedIndexers[*discoveryv1.EndpointSlice]{
	byService: func(s *discoveryv1.EndpointSlice) ([]string, error) {
		return []string{observation.ServiceOf(s).String()}, nil
	},
	byNamespace: func(s *discoveryv1.EndpointSlice) ([]string, error) {
		if !observation.Own(s) {
			return nil, nil
		}
		return []string{s.Namespace}, nil
	},
})
