package kubectl

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	"qoqo.dev/active-standby-controller/pkg/live"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// ourLeases selects the Leases that are the controller's.
const ourLeases = api.LabelManagedBy + "=" + api.ManagedBy

// world is what there is in a namespace, or in several.
type world struct {
	// services are the annotated ones.
	services []*corev1.Service
	leases   map[types.NamespacedName]*coordinationv1.Lease
	pods     []*corev1.Pod
	// slices are of no use if they are not read.
	slices []*discoveryv1.EndpointSlice
}

// read reads the namespaces of the annotated Services in namespace, which may be all.
func read(ctx context.Context, client kubernetes.Interface, namespace string) (w *world, err error) {
	w = newWorld()
	reader := live.Reader{Client: client}
	if w.services, err = reader.Annotated(ctx, namespace); err != nil {
		return nil, err
	}
	namespaces := sets.New[string]()
	for _, s := range w.services {
		namespaces.Insert(s.Namespace)
	}
	for _, namespace := range sets.List(namespaces) {
		leases, err := client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{LabelSelector: ourLeases})
		if err != nil {
			return nil, fmt.Errorf("listing the Leases: %w", err)
		}
		for i := range leases.Items {
			w.addLease(&leases.Items[i])
		}
		pods, err := reader.Pods(ctx, namespace)
		if err != nil {
			return nil, err
		}
		w.pods = append(w.pods, pods...)
	}
	return w, w.complete(ctx, client)
}

func newWorld() *world { return &world{leases: map[types.NamespacedName]*coordinationv1.Lease{}} }

func (w *world) addLease(l *coordinationv1.Lease) {
	w.leases[types.NamespacedName{Namespace: l.Namespace, Name: l.Name}] = l
}

// complete asks for the Leases that are missing: they may be somebody else's.
func (w *world) complete(ctx context.Context, client kubernetes.Interface) error {
	for _, s := range w.services {
		k := observation.LeaseKey(s)
		if _, found := w.leases[k]; found {
			continue
		}
		l, err := live.Reader{Client: client}.Lease(ctx, k)
		if err != nil {
			return err
		}
		w.leases[k] = l
	}
	return nil
}

// readService reads the namespace of the Service that is named, and says what is wrong if
// it is not among the annotated ones.
func (e *env) readService(ctx context.Context, name string) (c connection, w *world, s *corev1.Service, err error) {
	if c, err = e.connect(); err != nil {
		return c, nil, nil, err
	}
	if w, err = read(ctx, c.client, c.namespace); err != nil {
		return c, nil, nil, err
	}
	if s = service(w.services, c.namespace, name); s == nil {
		err = c.missing(ctx, name)
	}
	return c, w, s, err
}

// service returns nil if there is none of that name.
func service(services []*corev1.Service, namespace, name string) *corev1.Service {
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return s.Namespace == namespace && s.Name == name })
	if i < 0 {
		return nil
	}
	return services[i]
}

// look looks at the election that the annotated Service takes part in. Nothing is known
// of its nodes.
func (w *world) look(s *corev1.Service) *observation.Observation {
	k := observation.LeaseKey(s)
	return observation.Look(observation.Inputs{
		Key: k, Evidence: election.Live, Now: time.Now(), Lease: w.leases[k], Slices: w.slices,
		Services: slices.DeleteFunc(slices.Clone(w.services), func(s *corev1.Service) bool { return s.Namespace != k.Namespace }),
		Pods:     slices.DeleteFunc(slices.Clone(w.pods), func(p *corev1.Pod) bool { return p.Namespace != k.Namespace }),
	})
}

// missing says why the Service is not among the annotated ones, and what to do.
func (c connection) missing(ctx context.Context, name string) error {
	_, err := c.client.CoreV1().Services(c.namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("services %q not found in %s namespace", name, c.namespace)
	case err != nil:
		return fmt.Errorf("reading the Service: %w", err)
	}
	return fmt.Errorf("service %s is not annotated; %s", name, c.kubectl("annotate service %s %s=%s", name, api.AnnotationServiceMode, api.ModeActiveStandby))
}

// noLease says that there is none yet.
func noLease(o *observation.Observation) string {
	return fmt.Sprintf("there is no Lease %s yet; is the controller running, and does it look after the namespace %s?", o.Key.Name, o.Key.Namespace)
}

// readSlices is what need not be allowed.
func (w *world) readSlices(ctx context.Context, c connection) (allowed bool, err error) {
	list, err := c.client.DiscoveryV1().EndpointSlices(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: observation.NotBuiltIn})
	switch {
	case apierrors.IsForbidden(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("listing the EndpointSlices: %w", err)
	}
	w.slices = nil
	for i := range list.Items {
		w.slices = append(w.slices, &list.Items[i])
	}
	return true, nil
}

// withNodes looks again, with what the nodes say of themselves, if they may be read. What
// their heartbeats say the controller alone knows.
func (c connection) withNodes(ctx context.Context, o *observation.Observation) (seen *observation.Observation, allowed bool, err error) {
	cordoned, err := c.live().Unschedulable(ctx, o.NodeNames())
	switch {
	case apierrors.IsForbidden(err):
		return o, false, nil
	case err != nil:
		return nil, false, err
	}
	in := o.Inputs
	in.Nodes.Unschedulable = cordoned.Has
	return observation.Look(in), true, nil
}

func (c connection) live() live.Reader { return live.Reader{Client: c.client} }
