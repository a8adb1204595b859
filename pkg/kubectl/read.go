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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/live"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// world is what there is in a namespace, or in several.
type world struct {
	// services are the annotated ones.
	services []*corev1.Service
	// leases are the controller's, and those of others that have the name of an election's.
	leases map[types.NamespacedName]*coordinationv1.Lease
	pods   []*corev1.Pod
	slices []*discoveryv1.EndpointSlice
	// seesSlices is false if they may not be read.
	seesSlices bool
}

func newWorld() *world { return &world{leases: map[types.NamespacedName]*coordinationv1.Lease{}} }

// read reads the namespaces of the annotated Services in namespace. An empty namespace
// means all. The Services supposed take the place of those of the same name, or are added.
func read(ctx context.Context, r live.Reader, namespace string, supposed ...*corev1.Service) (w *world, err error) {
	w = newWorld()
	if w.services, err = r.Annotated(ctx, namespace); err != nil {
		return nil, err
	}
	w.services = slices.DeleteFunc(w.services, func(s *corev1.Service) bool { return service(supposed, s.Namespace, s.Name) != nil })
	w.services = append(w.services, supposed...)
	namespaces := sets.New[string]()
	for _, s := range w.services {
		namespaces.Insert(s.Namespace)
	}
	for _, namespace := range sets.List(namespaces) {
		leases, err := r.Leases(ctx, namespace)
		if err != nil {
			return nil, err
		}
		w.addLeases(leases)
		pods, err := r.Pods(ctx, namespace)
		if err != nil {
			return nil, err
		}
		w.pods = append(w.pods, pods...)
	}
	w.slices, err = r.Slices(ctx, namespace, "")
	if w.seesSlices, err = permitted(err); err != nil {
		return nil, err
	}
	return w, w.complete(ctx, r)
}

func (w *world) addLeases(leases []*coordinationv1.Lease) {
	for _, l := range leases {
		w.leases[types.NamespacedName{Namespace: l.Namespace, Name: l.Name}] = l
	}
}

// complete reads the Leases that are missing, because they may be foreign.
func (w *world) complete(ctx context.Context, r live.Reader) error {
	for _, s := range w.services {
		k := observation.LeaseKey(s)
		if w.leases[k] != nil {
			continue
		}
		l, err := r.Lease(ctx, k)
		if err != nil {
			return err
		}
		if l != nil {
			w.leases[k] = l
		}
	}
	return nil
}

// look looks at the election of the annotated Service. Nothing is known of its nodes.
func (w *world) look(s *corev1.Service) *observation.Observation {
	k := observation.LeaseKey(s)
	return observation.Look(observation.Inputs{
		Key: k, Now: time.Now(), Lease: w.leases[k], Slices: w.slices, SeesPublished: w.seesSlices,
		Services: inNamespace(w.services, k.Namespace), Pods: inNamespace(w.pods, k.Namespace),
	})
}

func inNamespace[T interface{ GetNamespace() string }](objects []T, namespace string) (of []T) {
	for _, o := range objects {
		if o.GetNamespace() == namespace {
			of = append(of, o)
		}
	}
	return of
}

// service returns the Service of that name, nil if there is none.
func service(services []*corev1.Service, namespace, name string) *corev1.Service {
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return s.Namespace == namespace && s.Name == name })
	if i < 0 {
		return nil
	}
	return services[i]
}

func (c connection) live() live.Reader { return live.Reader{Client: c.client} }

// annotated reads one Service. A Service that is not annotated is an error, which says how
// to annotate it.
func (c connection) annotated(ctx context.Context, name string) (*corev1.Service, error) {
	s, err := c.live().Service(ctx, c.namespace, name)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, fmt.Errorf("services %q not found in %s namespace", name, c.namespace)
	case !api.Annotated(s):
		return nil, fmt.Errorf("service %s is not annotated; %s", name, c.kubectl("annotate service %s %s=%s", name, api.AnnotationServiceMode, api.ModeActiveStandby))
	}
	return s, nil
}

// missing says why the Service was not among the annotated ones.
func (c connection) missing(ctx context.Context, name string) error {
	if _, err := c.annotated(ctx, name); err != nil {
		return err
	}
	return fmt.Errorf("service %s was annotated only now; try again", name)
}

// withNodes looks again, with the nodes, and reports whether it is allowed to read them.
// The nodes' heartbeats are known to the controller alone.
func (c connection) withNodes(ctx context.Context, o *observation.Observation) (seen *observation.Observation, allowed bool, err error) {
	nodes, err := c.live().Nodes(ctx, o.NodeNames())
	if err != nil {
		allowed, err = permitted(err)
		return o, allowed, err
	}
	in := o.Inputs
	in.Nodes.Find = func(name string) *corev1.Node { return nodes[name] }
	in.Nodes.DrainTaints = sets.New(api.DrainTaints()...)
	return observation.Look(in), true, nil
}

// permitted tells what may not be read, which is no error, from what cannot be read.
func permitted(err error) (bool, error) {
	if apierrors.IsForbidden(err) {
		return false, nil
	}
	return err == nil, err
}

// noLease says that the election has no Lease, and why that may be so.
func noLease(k types.NamespacedName) string {
	return fmt.Sprintf("there is no Lease %s yet; is the controller running, and does it look after the namespace %s?", k.Name, k.Namespace)
}
