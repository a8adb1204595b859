// Package live reads elections from the API server, for the controller where its caches
// do not suffice, and for the kubectl plugin. It imports packages api, election,
// observation and routing, and decides nothing.
package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// OwnLeases is a label selector of the controller's Leases.
const OwnLeases = api.LabelManagedBy + "=" + api.ManagedBy

// Reader reads from the API server. Its methods may be called from any goroutine. Their
// errors are the API server's, with what was read in front of them.
type Reader struct{ Client kubernetes.Interface }

// Election returns all that the API server has of an election now, with the evidence
// Live: the Lease, the namespace's pods and annotated Services, and all EndpointSlices
// of the election's Services. It never asks a cache whether one of them matters. What is
// known of nodes, and of the pods' answers, is the caller's to add, and the time.
func (r Reader) Election(ctx context.Context, key types.NamespacedName) (in observation.Inputs, err error) {
	in = observation.Inputs{Key: key, Evidence: election.Live, SeesPublished: true}
	if in.Lease, err = r.Lease(ctx, key); err != nil {
		return in, err
	}
	if in.Pods, in.Services, err = r.namespace(ctx, key.Namespace); err != nil {
		return in, err
	}
	in.Services = annotated(in.Services)
	names := sets.New[string]()
	for _, s := range in.Services {
		if observation.LeaseKey(s) == key {
			names.Insert(s.Name)
		}
	}
	if in.Slices, err = r.slicesOf(ctx, key.Namespace, names); err != nil || in.Lease != nil || observation.Look(in).Traced() == 0 {
		return in, err
	}
	// There are traces of an election, but there was no Lease. Another replica may have made it,
	// and left the traces, since that was read. A Lease that is lost costs an epoch.
	if l, err := r.Lease(ctx, key); err != nil || l == nil {
		return in, err
	}
	return r.Election(ctx, key)
}

// Lease returns nil if there is none.
func (r Reader) Lease(ctx context.Context, key types.NamespacedName) (*coordinationv1.Lease, error) {
	l, err := r.Client.CoordinationV1().Leases(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Lease: %w", err)
	}
	return l, nil
}

// Leases returns those of the controller's Leases in a namespace, or in all if it is empty.
func (r Reader) Leases(ctx context.Context, namespace string) ([]*coordinationv1.Lease, error) {
	list, err := r.Client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{LabelSelector: OwnLeases})
	if err != nil {
		return nil, fmt.Errorf("listing the Leases: %w", err)
	}
	return pointers(list.Items), nil
}

// Service returns nil if there is no Service of that name.
func (r Reader) Service(ctx context.Context, namespace, name string) (*corev1.Service, error) {
	s, err := r.Client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Service: %w", err)
	}
	return s, nil
}

// Pod returns nil if there is no pod of that name.
func (r Reader) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod, err := r.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pod %s: %w", name, err)
	}
	return pod, nil
}

// Node returns nil if there is no node of that name.
func (r Reader) Node(ctx context.Context, name string) (*corev1.Node, error) {
	node, err := r.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the node %s: %w", name, err)
	}
	return node, nil
}

// Nodes returns the nodes by their names; nil for each that does not exist.
func (r Reader) Nodes(ctx context.Context, names sets.Set[string]) (map[string]*corev1.Node, error) {
	nodes := map[string]*corev1.Node{}
	for _, name := range sets.List(names) {
		node, err := r.Node(ctx, name)
		if err != nil {
			return nil, err
		}
		nodes[name] = node
	}
	return nodes, nil
}

// Leftovers returns what there is in a namespace, for what is left in it of elections
// that are no more.
func (r Reader) Leftovers(ctx context.Context, namespace string) (l routing.Leftovers, err error) {
	// Like the pods, the slices are listed before the Services.
	own, err := r.Slices(ctx, namespace, discoveryv1.LabelManagedBy+"="+api.SliceManagedBy)
	if err != nil {
		return l, err
	}
	if l.Pods, l.Services, err = r.namespace(ctx, namespace); err != nil {
		return l, err
	}
	released := sets.New[string]()
	for _, s := range l.Services {
		if !api.Annotated(s) {
			released.Insert(s.Name)
		}
	}
	served := sets.New[string]()
	for _, slice := range own {
		if name := observation.ServiceOf(slice).Name; released.Has(name) {
			served.Insert(name)
		}
	}
	// Own slices stay as they were listed first: one that was written since, for a Service
	// that has opted in again, must not be deleted at its new version.
	of, err := r.slicesOf(ctx, namespace, served)
	l.Slices = slices.Concat(own, slices.DeleteFunc(of, observation.Own))
	return l, err
}

// namespace lists the pods first, so that a mark on one of them was made for a Service
// that is listed too.
func (r Reader) namespace(ctx context.Context, namespace string) (pods []*corev1.Pod, services []*corev1.Service, err error) {
	if pods, err = r.Pods(ctx, namespace); err != nil {
		return nil, nil, err
	}
	services, err = r.services(ctx, namespace)
	return pods, services, err
}

// Pods returns the pods of a namespace, or of all if it is empty.
func (r Reader) Pods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	list, err := r.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	return pointers(list.Items), nil
}

// Annotated returns the Services that take part in an election, in a namespace or, if it
// is empty, in all.
func (r Reader) Annotated(ctx context.Context, namespace string) ([]*corev1.Service, error) {
	services, err := r.services(ctx, namespace)
	return annotated(services), err
}

func (r Reader) services(ctx context.Context, namespace string) ([]*corev1.Service, error) {
	list, err := r.Client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Services: %w", err)
	}
	return pointers(list.Items), nil
}

// slicesOf returns all EndpointSlices of the Services that are named, whoever manages them.
func (r Reader) slicesOf(ctx context.Context, namespace string, services sets.Set[string]) ([]*discoveryv1.EndpointSlice, error) {
	if services.Len() == 0 {
		return nil, nil
	}
	return r.Slices(ctx, namespace, fmt.Sprintf("%s in (%s)", discoveryv1.LabelServiceName, strings.Join(sets.List(services), ",")))
}

// Slices returns the EndpointSlices of a namespace, or of all if it is empty, that a label
// selector matches.
func (r Reader) Slices(ctx context.Context, namespace, selector string) ([]*discoveryv1.EndpointSlice, error) {
	list, err := r.Client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices: %w", err)
	}
	return pointers(list.Items), nil
}

func annotated(services []*corev1.Service) (of []*corev1.Service) {
	for _, s := range services {
		if api.Annotated(s) {
			of = append(of, s)
		}
	}
	return of
}

func pointers[T any](items []T) []*T {
	all := make([]*T, 0, len(items))
	for i := range items {
		all = append(all, &items[i])
	}
	return all
}
