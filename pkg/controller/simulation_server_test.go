package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// server is the API server as one replica reaches it: of each kind the verbs that the
// controller uses, with the preconditions as the API server heeds them. A verb that is
// missing here ends the test with a nil pointer.
type server struct {
	kubernetes.Interface
	r *replica
}

func (s server) CoreV1() coreclient.CoreV1Interface { return coreAPI{r: s.r} }
func (s server) CoordinationV1() coordinationclient.CoordinationV1Interface {
	return coordinationAPI{r: s.r}
}
func (s server) DiscoveryV1() discoveryclient.DiscoveryV1Interface { return discoveryAPI{r: s.r} }

type coreAPI struct {
	coreclient.CoreV1Interface
	r *replica
}

func (c coreAPI) Services(string) coreclient.ServiceInterface {
	return servicesAPI{kindAPI: kindAPI[*corev1.Service]{c.r, c.r.world.services}}
}

func (c coreAPI) Pods(string) coreclient.PodInterface {
	return podsAPI{kindAPI: kindAPI[*corev1.Pod]{c.r, c.r.world.pods}}
}

func (c coreAPI) Nodes() coreclient.NodeInterface {
	return nodesAPI{kindAPI: kindAPI[*corev1.Node]{c.r, c.r.world.nodes}}
}

type coordinationAPI struct {
	coordinationclient.CoordinationV1Interface
	r *replica
}

func (c coordinationAPI) Leases(string) coordinationclient.LeaseInterface {
	return leasesAPI{kindAPI: kindAPI[*coordinationv1.Lease]{c.r, c.r.world.leases}}
}

type discoveryAPI struct {
	discoveryclient.DiscoveryV1Interface
	r *replica
}

func (c discoveryAPI) EndpointSlices(string) discoveryclient.EndpointSliceInterface {
	return slicesAPI{kindAPI: kindAPI[*discoveryv1.EndpointSlice]{c.r, c.r.world.slices}}
}

type servicesAPI struct {
	coreclient.ServiceInterface
	kindAPI[*corev1.Service]
}

func (s servicesAPI) List(_ context.Context, o metav1.ListOptions) (*corev1.ServiceList, error) {
	items, err := listed[corev1.Service](s.kindAPI, o)
	return &corev1.ServiceList{Items: items}, err
}

func (s servicesAPI) Patch(_ context.Context, name string, _ types.PatchType, body []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Service, error) {
	return s.patch(name, body, func(s *corev1.Service, selector map[string]*string) {
		claimSelector(s, func() { s.Spec.Selector = merged(s.Spec.Selector, selector) }, api.ManagedBy)
	})
}

type podsAPI struct {
	coreclient.PodInterface
	kindAPI[*corev1.Pod]
}

func (p podsAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Pod, error) {
	return p.get(name)
}

func (p podsAPI) List(_ context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
	items, err := listed[corev1.Pod](p.kindAPI, o)
	return &corev1.PodList{Items: items}, err
}

func (p podsAPI) Patch(_ context.Context, name string, _ types.PatchType, body []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Pod, error) {
	return p.patch(name, body, nil)
}

func (p podsAPI) Delete(_ context.Context, name string, o metav1.DeleteOptions) error {
	return p.delete(name, o, func(pod *corev1.Pod) {
		p.r.world.checkDeletion(p.r, pod)
		p.r.world.deletePod(name)
	})
}

type nodesAPI struct {
	coreclient.NodeInterface
	kindAPI[*corev1.Node]
}

func (n nodesAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Node, error) {
	return n.get(name)
}

type leasesAPI struct {
	coordinationclient.LeaseInterface
	kindAPI[*coordinationv1.Lease]
}

func (l leasesAPI) Get(_ context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	return l.get(name)
}

func (l leasesAPI) Create(_ context.Context, lease *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return l.create(lease, l.r.world.showLease(lease))
}

func (l leasesAPI) Update(_ context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	return l.update(lease, l.r.world.showLease(lease))
}

func (l leasesAPI) Delete(_ context.Context, name string, o metav1.DeleteOptions) error {
	return l.delete(name, o, func(*coordinationv1.Lease) {
		l.r.world.checkReleased(name)
		remove(l.r.world, l.of, name)
		l.r.world.leaseEnded(name)
	})
}

type slicesAPI struct {
	discoveryclient.EndpointSliceInterface
	kindAPI[*discoveryv1.EndpointSlice]
}

func (s slicesAPI) List(_ context.Context, o metav1.ListOptions) (*discoveryv1.EndpointSliceList, error) {
	items, err := listed[discoveryv1.EndpointSlice](s.kindAPI, o)
	return &discoveryv1.EndpointSliceList{Items: items}, err
}

func (s slicesAPI) Create(_ context.Context, slice *discoveryv1.EndpointSlice, _ metav1.CreateOptions) (*discoveryv1.EndpointSlice, error) {
	return s.create(slice, showSlice(slice))
}

func (s slicesAPI) Update(_ context.Context, slice *discoveryv1.EndpointSlice, _ metav1.UpdateOptions) (*discoveryv1.EndpointSlice, error) {
	return s.update(slice, showSlice(slice))
}

func (s slicesAPI) Delete(_ context.Context, name string, o metav1.DeleteOptions) error {
	return s.delete(name, o, func(*discoveryv1.EndpointSlice) { remove(s.r.world, s.of, name) })
}

// kindAPI answers a replica's requests for objects of a kind.
type kindAPI[T simulated] struct {
	r  *replica
	of table[T]
}

func (k kindAPI[T]) resource() schema.GroupResource { return schema.GroupResource{Resource: k.of.kind} }

func (k kindAPI[T]) get(name string) (T, error) {
	return request(k.r, "GET", k.of.kind, name, "", func() (live T, err error) {
		live, found := k.of.all[name]
		if !found {
			err = apierrors.NewNotFound(k.resource(), name)
		}
		if err != nil {
			return live, err
		}
		return copied(live), nil
	})
}

func listed[V any, T interface {
	*V
	simulated
}](k kindAPI[T], o metav1.ListOptions) ([]V, error) {
	selector, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return nil, err
	}
	return request(k.r, "LIST", k.of.kind, "", o.LabelSelector, func() (items []V, err error) {
		for _, o := range k.of.list() {
			if selector.Matches(labels.Set(o.GetLabels())) {
				items = append(items, *copied(o))
			}
		}
		return items, nil
	})
}

func (k kindAPI[T]) create(o T, says string) (T, error) {
	return request(k.r, "POST", k.of.kind, o.GetName(), says, func() (none T, err error) {
		switch _, exists := k.of.all[o.GetName()]; {
		case exists:
			return none, apierrors.NewAlreadyExists(k.resource(), o.GetName())
		case o.GetResourceVersion() != "":
			return none, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
		}
		return copied(k.store(none, o.DeepCopyObject().(T))), nil
	})
}

// update wants a resource version, without which the API server would overwrite what
// others have written.
func (k kindAPI[T]) update(o T, says string) (T, error) {
	return request(k.r, "PUT", k.of.kind, o.GetName(), says, func() (none T, err error) {
		live, exists := k.of.all[o.GetName()]
		if !exists {
			return none, apierrors.NewNotFound(k.resource(), o.GetName())
		}
		if o.GetResourceVersion() == "" {
			o = o.DeepCopyObject().(T)
			o.SetResourceVersion(live.GetResourceVersion())
		}
		if err := k.agree(live, o.GetUID(), o.GetResourceVersion()); err != nil {
			return none, err
		}
		return copied(k.store(live, o.DeepCopyObject().(T))), nil
	})
}

// patch takes a JSON merge patch of what the controller patches.
func (k kindAPI[T]) patch(name string, body []byte, apply func(T, map[string]*string)) (T, error) {
	return request(k.r, "PATCH", k.of.kind, name, string(body), func() (none T, err error) {
		live, exists := k.of.all[name]
		if !exists {
			return none, apierrors.NewNotFound(k.resource(), name)
		}
		var patch struct {
			Metadata struct {
				UID                 types.UID
				ResourceVersion     string
				Labels, Annotations map[string]*string
				ManagedFields       []metav1.ManagedFieldsEntry
			}
			Spec struct{ Selector map[string]*string }
		}
		if err := json.Unmarshal(body, &patch); err != nil {
			return none, apierrors.NewBadRequest(err.Error())
		}
		if err := k.agree(live, patch.Metadata.UID, patch.Metadata.ResourceVersion); err != nil {
			return none, err
		}
		changed := live.DeepCopyObject().(T)
		changed.SetLabels(merged(live.GetLabels(), patch.Metadata.Labels))
		changed.SetAnnotations(merged(live.GetAnnotations(), patch.Metadata.Annotations))
		if f := patch.Metadata.ManagedFields; len(f) > 0 {
			// What is not set ends all claims.
			changed.SetManagedFields(slices.DeleteFunc(f, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == "" }))
		}
		if apply != nil {
			apply(changed, patch.Spec.Selector)
		}
		return copied(k.store(live, changed)), nil
	})
}

// copied is what a replica gets of an object: it keeps, and trims, what it is answered.
func copied[T simulated](o T) T { return o.DeepCopyObject().(T) }

func (k kindAPI[T]) delete(name string, o metav1.DeleteOptions, gone func(T)) error {
	_, err := request(k.r, "DELETE", k.of.kind, name, "", func() (none T, err error) {
		live, exists := k.of.all[name]
		if !exists {
			return none, apierrors.NewNotFound(k.resource(), name)
		}
		if p := o.Preconditions; p != nil {
			if err := k.agree(live, ptr.Deref(p.UID, ""), ptr.Deref(p.ResourceVersion, "")); err != nil {
				return none, err
			}
		}
		k.r.world.writes++
		gone(live)
		return none, nil
	})
	return err
}

// agree heeds preconditions; what is not named is none.
func (k kindAPI[T]) agree(live T, uid types.UID, version string) error {
	if uid != "" && live.GetUID() != uid || version != "" && live.GetResourceVersion() != version {
		return apierrors.NewConflict(k.resource(), live.GetName(), fmt.Errorf("it is %s in version %s, and not %s in version %s", live.GetUID(), live.GetResourceVersion(), uid, version))
	}
	return nil
}

// store stores what a replica writes, and lets the invariants see it first.
func (k kindAPI[T]) store(live, now T) T {
	var none T
	before, _ := any(live).(*coordinationv1.Lease)
	if l, is := any(now).(*coordinationv1.Lease); is {
		if len(l.ManagedFields) > 0 {
			k.r.world.fail("replica %d writes who has written the fields of Lease %s", k.r.number, l.Name)
		}
		l.ManagedFields = managedFields(before, l, api.ManagedBy)
	}
	if live != none {
		now.SetResourceVersion(live.GetResourceVersion())
		if apiequality.Semantic.DeepEqual(live, now) {
			return live
		}
	}
	w := k.r.world
	if live != none && stampOf(now) >= 0 && stampOf(now) < stampOf(live) {
		w.fail("replica %d writes epoch %d on %s %s, which is of epoch %d", k.r.number, stampOf(now), k.of.kind, now.GetName(), stampOf(live))
	}
	switch o := any(now).(type) {
	case *corev1.Pod:
		w.checkPromoted(k.r, o)
	case *corev1.Service:
		w.checkPointed(k.r, o)
		w.checkDetached(k.r, o)
		w.checkObserved(k.r, o)
	}
	if l, is := any(now).(*coordinationv1.Lease); !is {
		w.writes++
	} else if !w.leaseWritten(k.r, before, l) {
		w.writes++
	}
	return put(w, k.of, now)
}

// stampOf is the epoch of which an object is; -1 if it has no stamp of its own.
func stampOf(o metav1.Object) int32 {
	if pod, is := o.(*corev1.Pod); is {
		return observation.PodStamp(pod)
	}
	return observation.Stamp(o)
}

// claimSelector lets the field manager own the selector that it changes. Claims to other
// fields are not simulated.
func claimSelector(s *corev1.Service, change func(), manager string) {
	before := maps.Clone(s.Spec.Selector)
	if change(); !maps.Equal(before, s.Spec.Selector) {
		s.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:selector":{}}}`),
		}, {
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:ports":{}}}`),
		}}
	}
}

// claimed reports whether the controller owns the Service's selector.
func claimed(s *corev1.Service) bool {
	return slices.ContainsFunc(s.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == api.ManagedBy })
}

// merged applies a JSON merge patch to a map.
func merged(current map[string]string, changes map[string]*string) map[string]string {
	result := maps.Clone(current)
	if result == nil {
		result = map[string]string{}
	}
	for key, value := range changes {
		if value == nil {
			delete(result, key)
		} else {
			result[key] = *value
		}
	}
	return result
}
