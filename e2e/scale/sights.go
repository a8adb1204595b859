package scale

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	watchapi "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// sights is what the instrument has seen of the Leases and the EndpointSlices.
type sights struct {
	lock sync.Mutex
	of   map[types.NamespacedName]*sight
}

// sight is what was seen of one election.
type sight struct {
	// holder is the pod that the Lease names, and held when that was first seen.
	holder string
	held   time.Time
	// ready are the pods that each slice lists as ready.
	ready map[string][]string
	// alone is the pod that the slices list alone, and published when that was first seen.
	alone     string
	published time.Time
}

// watch sees every version of the Leases and the slices, from now on. It calls failed if it
// has missed any.
func watch(ctx context.Context, client kubernetes.Interface, failed context.CancelCauseFunc) (*sights, error) {
	s := &sights{of: map[types.NamespacedName]*sight{}}
	for _, kind := range []struct {
		client   cache.Getter
		resource string
		selector string
	}{
		{client.DiscoveryV1().RESTClient(), "endpointslices", ""},
		// Without those of the nodes.
		{client.CoordinationV1().RESTClient(), "leases", api.LabelManagedBy + "=" + api.ManagedBy},
	} {
		lw := cache.NewFilteredListWatchFromClient(kind.client, kind.resource, metav1.NamespaceAll, func(o *metav1.ListOptions) { o.LabelSelector = kind.selector })
		list, err := lw.ListWithContext(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		listed, err := meta.ListAccessor(list)
		if err != nil {
			return nil, err
		}
		watcher, err := watchtools.NewRetryWatcherWithContext(ctx, listed.GetResourceVersion(), lw)
		if err != nil {
			return nil, err
		}
		go func() {
			for event := range watcher.ResultChan() {
				switch event.Type {
				case watchapi.Error:
					failed(fmt.Errorf("the watch of %s: %v", kind.resource, event.Object))
				case watchapi.Bookmark:
				default:
					s.see(event.Object, event.Type == watchapi.Deleted, time.Now())
				}
			}
		}()
	}
	return s, nil
}

// see notes a version of an object.
func (s *sights) see(object runtime.Object, deleted bool, now time.Time) {
	s.lock.Lock()
	defer s.lock.Unlock()
	switch o := object.(type) {
	case *coordinationv1.Lease:
		one := s.sight(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
		if holder := ptr.Deref(o.Spec.HolderIdentity, ""); holder != one.holder {
			one.holder, one.held = holder, now
		}
	case *discoveryv1.EndpointSlice:
		one := s.sight(types.NamespacedName{Namespace: o.Namespace, Name: o.Labels[discoveryv1.LabelServiceName]})
		delete(one.ready, o.Name)
		for _, e := range o.Endpoints {
			if !deleted && ptr.Deref(e.Conditions.Ready, true) && e.TargetRef != nil {
				one.ready[o.Name] = append(one.ready[o.Name], e.TargetRef.Name)
			}
		}
		var all []string
		for _, pods := range one.ready {
			all = append(all, pods...)
		}
		slices.Sort(all)
		alone := ""
		if all = slices.Compact(all); len(all) == 1 {
			alone = all[0]
		}
		if alone != one.alone {
			one.alone, one.published = alone, now
		}
	}
}

func (s *sights) sight(election types.NamespacedName) *sight {
	if s.of[election] == nil {
		s.of[election] = &sight{ready: map[string][]string{}}
	}
	return s.of[election]
}

// holder returns the pod that the Lease names, or an empty string.
func (s *sights) holder(election types.NamespacedName) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.sight(election).holder
}

// served returns when another pod than former became the holder and when the slices listed
// it alone, and whether both is so.
func (s *sights) served(election types.NamespacedName, former string) (held, published time.Time, is bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	one := s.sight(election)
	return one.held, one.published, one.holder != "" && one.holder != former && one.alone == one.holder
}
