package scenario

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// BuiltIn is the manager of EndpointSlices that Kubernetes' own controller writes.
const BuiltIn = "endpointslice-controller.k8s.io"

// describer names objects by their UIDs.
type describer struct {
	namespace string
	nameOf    func(types.UID) string
}

// State describes what the controller has to do with in the namespace, a line for each
// object: of Leases, Services and pods what the controller has written, and what
// EndpointSlices list. Without a namespace it describes all, and qualifies names outside
// the namespace default. It knows objects that are referred to by their UID; nameOf names
// them.
func State(ctx context.Context, client kubernetes.Interface, namespace string, nameOf func(types.UID) string) (lines []string, err error) {
	d := describer{namespace: namespace, nameOf: nameOf}
	leases, err := client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, l := range leases.Items {
		lines = append(lines, "Lease "+d.lease(&l))
	}
	services, err := client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, s := range services.Items {
		lines = append(lines, "Service "+d.service(&s))
	}
	published, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	first := len(lines)
	for _, s := range published.Items {
		if s.Labels[discoveryv1.LabelManagedBy] != BuiltIn || len(s.Endpoints) > 0 {
			lines = append(lines, "EndpointSlice "+d.slice(&s))
		}
	}
	slices.Sort(lines[first:])
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		lines = append(lines, "Pod "+d.pod(&p))
	}
	return lines, nil
}

// lease is "name: holder @epoch reason, of Services". A holder with the UID of another pod
// is told apart, and so is a foreign Lease.
func (d describer) lease(l *coordinationv1.Lease) string {
	line := d.qualified(l) + ":"
	foreign := l.Labels[api.LabelManagedBy] != api.ManagedBy
	if foreign {
		line += " foreign"
	}
	if holder := l.Spec.HolderIdentity; holder != nil {
		line += " " + *holder
		if name := d.name(types.UID(l.Annotations[api.AnnotationHolderUID])); !foreign && name != *holder {
			line += " with the UID of " + name
		}
	}
	if l.Spec.LeaseTransitions != nil {
		line += fmt.Sprint(" @", *l.Spec.LeaseTransitions)
	}
	if reason := l.Annotations[api.AnnotationReason]; reason != "" {
		line += " " + reason
	}
	if l.Spec.LeaseDurationSeconds != nil {
		line += fmt.Sprintf(" for %d s", *l.Spec.LeaseDurationSeconds)
	}
	if next := l.Annotations[api.AnnotationNextHolder]; next != "" {
		line += ", then " + next
	}
	for i, owner := range l.OwnerReferences {
		line += []string{", of ", " and "}[min(i, 1)] + d.name(owner.UID)
	}
	return line
}

// service is "name: selector [-> pod] [detached] [@epoch]".
func (d describer) service(s *corev1.Service) string {
	own := maps.Clone(s.Spec.Selector)
	delete(own, api.LabelPodUID)
	delete(own, api.LabelRouting)
	line := d.qualified(s) + ": " + labels.FormatLabels(own)
	if uid, routed := s.Spec.Selector[api.LabelPodUID]; routed {
		line += " -> " + d.name(types.UID(uid))
	}
	if _, detached := s.Spec.Selector[api.LabelRouting]; detached {
		line += " detached"
	}
	return line + stamp(s)
}

// slice is "name: [foreign] [pod [(not ready)]] [@epoch][, of owner]". Kubernetes makes up
// the names of its own, so that these are named after their Service.
func (d describer) slice(s *discoveryv1.EndpointSlice) string {
	line := d.qualified(s) + ":"
	switch s.Labels[discoveryv1.LabelManagedBy] {
	case BuiltIn:
		line = s.Labels[discoveryv1.LabelServiceName] + " by Kubernetes:"
	case api.SliceManagedBy:
	default:
		line += " foreign"
	}
	listed := []string{}
	for _, e := range s.Endpoints {
		name := strings.Join(e.Addresses, ",")
		if e.TargetRef != nil {
			name = d.name(e.TargetRef.UID)
		}
		if !ptr.Deref(e.Conditions.Ready, true) {
			name += " (not ready)"
		}
		listed = append(listed, " "+name)
	}
	slices.Sort(listed)
	line += strings.Join(listed, "") + stamp(s)
	for _, owner := range s.OwnerReferences {
		if s.Labels[discoveryv1.LabelManagedBy] != BuiltIn {
			line += ", of " + d.name(owner.UID)
		}
	}
	return line
}

// pod is "name: [identified] [designation] [@epoch] [spared] [terminating]".
func (d describer) pod(p *corev1.Pod) string {
	line := d.qualified(p) + ":"
	if uid, identified := p.Labels[api.LabelPodUID]; identified && uid == string(p.UID) {
		line += " identified"
	} else if identified {
		line += " identified as " + d.name(types.UID(uid))
	}
	if designation, designated := p.Labels[api.LabelDesignation]; designated {
		line += " " + designation
	}
	line += stamp(p)
	if cost, set := p.Annotations[api.AnnotationDeletionCost]; set && cost == api.MasterDeletionCost {
		line += " spared"
	} else if set {
		line += " costs " + cost
	}
	if p.DeletionTimestamp != nil {
		line += " terminating"
	}
	return line
}

func stamp(o metav1.Object) string {
	if epoch, stamped := o.GetAnnotations()[api.AnnotationLeaseTransitions]; stamped {
		return " @" + epoch
	}
	return ""
}

func (d describer) qualified(o metav1.Object) string {
	if d.namespace != metav1.NamespaceAll || o.GetNamespace() == metav1.NamespaceDefault {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

func (d describer) name(uid types.UID) string {
	return cmp.Or(d.nameOf(uid), "nobody")
}

// Ready returns the names of the pods that any of the slices lists as ready, joined with "+".
func Ready(all iter.Seq[*discoveryv1.EndpointSlice]) string {
	var names []string
	for s := range all {
		for _, e := range s.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) && e.TargetRef != nil {
				names = append(names, e.TargetRef.Name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "+")
}

// EventLine describes an event as "type reason action on Service [about pod]: note".
func EventLine(kind, reason, action, on, about, note string) string {
	if about != "" {
		about = " about " + about
	}
	return fmt.Sprintf("%s %s %s on %s%s: %s", kind, reason, action, on, about, note)
}
