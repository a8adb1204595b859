// Package live reads elections from the API server, for the controller where its caches
// do not suffice, and for the kubectl plugin. It imports packages api, election,
// lease, observation and routing, and decides nothing.
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
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// OwnLeases is a label selector of the controller's Leases.
const OwnLeases = api.LabelManagedBy + "=" + api.ManagedBy

// pageSize is how many objects are read at a time where there may be many: a pod takes some ten
// kilobytes until it is trimmed.
const pageSize = 500

// Reader reads from the API server. Its methods may be called from any goroutine. Their
// errors are the API server's, with what was read in front of them.
type Reader struct {
	Client kubernetes.Interface
	// trim drops what of a pod is not needed; it may be nil.
	trim      func(*corev1.Pod)
	annotated *shared[[]*corev1.Service]
	leftovers *shared[routing.Leftovers]
}

// NewReader returns a Reader for a program that reads many elections. Those that ask for the
// same namespace at a time share what is read, and must not change it. trim drops what of a pod
// is not needed.
func NewReader(client kubernetes.Interface, trim func(*corev1.Pod)) Reader {
	return Reader{Client: client, trim: trim, annotated: newShared[[]*corev1.Service](), leftovers: newShared[routing.Leftovers]()}
}

// Election returns all that the API server has of an election now, with the evidence Live: the
// Lease, its annotated Services and those that overlap it, the pods that Services of the election select or
// that may be its holder, and all EndpointSlices of the election's Services. Known is what the
// caller believes: it spares requests, and has the names of pods that no Service selects. What is known of nodes, and of the pods' answers, is the caller's
// to add, and the time.
func (r Reader) Election(ctx context.Context, known observation.Inputs) (in observation.Inputs, err error) {
	return r.Begin(ctx, known, nil)
}

// Begin is as Election, but if there is no Lease, create is called before the rest is read. What is
// decided then is an update of that Lease, which fails if it was deleted meanwhile.
func (r Reader) Begin(ctx context.Context, known observation.Inputs, create func(context.Context) (*coordinationv1.Lease, error)) (in observation.Inputs, err error) {
	in = observation.Inputs{Key: known.Key, Evidence: election.Live, SeesPublished: true, DefaultRouting: known.DefaultRouting, DefaultProbe: known.DefaultProbe, Services: known.Services, Slices: known.Slices}
	if in.Lease, err = r.Lease(ctx, known.Key); err != nil {
		return in, err
	}
	if in.Lease == nil && create != nil {
		if in.Lease, err = create(ctx); apierrors.IsAlreadyExists(err) {
			in.Lease, err = r.Lease(ctx, known.Key)
		}
		if err != nil {
			return in, err
		}
	}
	pods := podReader{Reader: r, known: known.Pods, selectors: sets.New[string](), holders: sets.New[types.UID]()}
	for read := true; read; {
		// Pods are read before the Services, so that a mark on one of them was made for a Service
		// that is read too. If these ask for others, both are read again.
		if err = pods.read(ctx, in); err != nil {
			return in, err
		}
		in.Pods = pods.all
		services, err := r.sharedAnnotated(ctx, known.Key.Namespace)
		if err != nil {
			return in, err
		}
		in.Services = concerning(services, in)
		if in.Slices, err = r.slicesOf(ctx, known.Key.Namespace, in.ServiceNames()); err != nil {
			return in, err
		}
		read = pods.lacks(in)
	}
	if lease.Decode(in.Lease).Exists || !observation.Look(in).Stamped() {
		return in, nil
	}
	// There are traces of an election, but there was no Lease, or it said nothing. Another replica
	// may have written it, and left the traces, since that was read. A Lease that is lost costs an epoch.
	if l, err := r.Lease(ctx, known.Key); err != nil || !lease.Decode(l).Exists {
		return in, err
	}
	return r.Begin(ctx, known, create)
}

// concerning returns those of the Services that matter to the election: its own, and those of each
// election that selects one of its pods. A look at it costs what they are.
func concerning(services []*corev1.Service, in observation.Inputs) (some []*corev1.Service) {
	elections := sets.New(in.Key)
	for _, s := range services {
		if slices.ContainsFunc(in.Pods, func(p *corev1.Pod) bool { return api.Selects(s, p.Labels) }) {
			elections.Insert(observation.LeaseKey(s))
		}
	}
	for _, s := range services {
		if elections.Has(observation.LeaseKey(s)) {
			some = append(some, s)
		}
	}
	return some
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
func (r Reader) Leftovers(ctx context.Context, namespace string) (routing.Leftovers, error) {
	return r.leftovers.get(ctx, namespace, func(ctx context.Context) (routing.Leftovers, error) {
		return r.readLeftovers(ctx, namespace)
	})
}

func (r Reader) readLeftovers(ctx context.Context, namespace string) (l routing.Leftovers, err error) {
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
		if !api.Routed(s) {
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
	services, err = r.services(ctx, namespace, func(*corev1.Service) bool { return true })
	return pods, services, err
}

// Pods returns the pods of a namespace, or of all if it is empty.
func (r Reader) Pods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	return r.podsWith(ctx, namespace, labels.Everything().String())
}

// podsWith returns the pods that a label selector matches.
func (r Reader) podsWith(ctx context.Context, namespace, selector string) (pods []*corev1.Pod, err error) {
	err = paged(metav1.ListOptions{LabelSelector: selector}, func(options metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := r.Client.CoreV1().Pods(namespace).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing the pods: %w", err)
		}
		for i := range list.Items {
			// The rest of the page is not kept in memory.
			pod := list.Items[i]
			if r.trim != nil {
				r.trim(&pod)
			}
			pods = append(pods, &pod)
		}
		return list, nil
	})
	return pods, err
}

// Annotated returns the Services that take part in an election, in a namespace or, if it
// is empty, in all.
func (r Reader) Annotated(ctx context.Context, namespace string) ([]*corev1.Service, error) {
	return r.services(ctx, namespace, api.Annotated)
}

func (r Reader) sharedAnnotated(ctx context.Context, namespace string) ([]*corev1.Service, error) {
	return r.annotated.get(ctx, namespace, func(ctx context.Context) ([]*corev1.Service, error) { return r.Annotated(ctx, namespace) })
}

func (r Reader) services(ctx context.Context, namespace string, wanted func(*corev1.Service) bool) (services []*corev1.Service, err error) {
	err = paged(metav1.ListOptions{}, func(options metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := r.Client.CoreV1().Services(namespace).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing the Services: %w", err)
		}
		for i := range list.Items {
			if service := list.Items[i]; wanted(&service) {
				services = append(services, &service)
			}
		}
		return list, nil
	})
	return services, err
}

// paged calls list for one page after another. Should the API server no longer have the rest,
// it is an error, and the caller tries again later.
func paged(options metav1.ListOptions, list func(metav1.ListOptions) (metav1.ListInterface, error)) error {
	for options.Limit = pageSize; ; {
		page, err := list(options)
		if err != nil || page.GetContinue() == "" {
			return err
		}
		options.Continue = page.GetContinue()
	}
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

func pointers[T any](items []T) []*T {
	all := make([]*T, 0, len(items))
	for i := range items {
		all = append(all, &items[i])
	}
	return all
}
