package controller

import (
	"context"
	"errors"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// errUnsynced: the pods of the namespace are not listed yet, which usually takes milliseconds, or
// they cannot be listed. The elections of the namespace are put aside until they are: the workers
// must be free for others.
var errUnsynced = errors.New("the pods of the namespace are not yet listed")

// Indexes of the pods of a namespace.
const (
	byNode  = "node"
	byLabel = "label"
	byUID   = "uid"
	// byMasterOf files those that observation.MasterOf names a Lease of.
	byMasterOf = "masterOf"
)

var podIndexers = cache.Indexers{
	cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
	byNode: func(o any) ([]string, error) {
		return []string{o.(*corev1.Pod).Spec.NodeName}, nil
	},
	byLabel: func(o any) (labels []string, err error) {
		pod := o.(*corev1.Pod)
		for key, value := range pod.Labels {
			// By those that the project has set, no Service is looked for.
			if !strings.HasPrefix(key, api.Domain+"/") {
				labels = append(labels, inNamespace(pod.Namespace, api.Label(key, value)))
			}
		}
		return labels, nil
	},
	byUID: func(o any) ([]string, error) {
		pod := o.(*corev1.Pod)
		return []string{inNamespace(pod.Namespace, string(pod.UID))}, nil
	},
	byMasterOf: func(o any) ([]string, error) {
		pod := o.(*corev1.Pod)
		if name := observation.MasterOf(pod); name != "" {
			return []string{inNamespace(pod.Namespace, name)}, nil
		}
		return nil, nil
	},
}

const (
	// separateNamespaces is how many namespaces have watches of their own in any case. Such a
	// watch takes 100 KB and nine goroutines, and there are two.
	separateNamespaces = 16
	// podsOfANamespace is how many pods the cluster may have for each of them to have one watch
	// instead: as many as take what two watches take, of 3 to 4 KB each.
	podsOfANamespace = 50
)

// annotatedNamespaces counts the namespaces that have annotated Services; none if not all
// namespaces are served.
func (c *Controller) annotatedNamespaces() int {
	services, everywhere := c.services[metav1.NamespaceAll]
	if !everywhere {
		return 0
	}
	return len(services.informer.GetIndexer().ListIndexFuncValues(byNamespace))
}

// shares reports whether one watch of all namespaces takes less than watches of those that have
// annotated Services. While it is not known how many pods there are, it has them counted.
func (c *Controller) shares() bool {
	namespaces := c.annotatedNamespaces()
	if namespaces <= separateNamespaces {
		return false
	}
	pods, known := c.census.known()
	if !known {
		c.census.want()
	}
	return known && pods <= podsOfANamespace*int64(namespaces)
}

// onDemand watches objects of one kind in the namespaces that have an annotated Service.
// Other namespaces cost nothing, until one watch of all takes less than one for each.
type onDemand[T cache.Object] struct {
	// make returns the store of a namespace, or of all, whose informer does not run yet.
	make func(namespace string, w *watched) (store[T], error)
	// shares reports whether there must be one watch of all namespaces.
	shares func() bool
	// began is called once all objects of a namespace, or of all, are known.
	began func(namespace string)

	lock sync.Mutex
	// ctx ends every watch; running waits for them.
	ctx     context.Context
	running *sync.WaitGroup
	// stores has NamespaceAll beside others only until that is synced.
	stores map[string]watchedStore[T]
}

type watchedStore[T cache.Object] struct {
	store[T]
	refused <-chan struct{}
	stop    context.CancelFunc
}

// podsOnDemand watches pods.
func (c *Controller) podsOnDemand() *onDemand[*corev1.Pod] {
	began := func(namespace string) {
		of := c.annotatedServices(namespace)
		if namespace == metav1.NamespaceAll {
			of = c.services.in(namespace).all()
		}
		for _, s := range of {
			if api.Annotated(s) {
				c.queue.Add(observation.LeaseKey(s))
			}
		}
	}
	return &onDemand[*corev1.Pod]{stores: map[string]watchedStore[*corev1.Pod]{}, began: began, shares: c.shares, make: func(namespace string, w *watched) (store[*corev1.Pod], error) {
		informer := coreinformers.NewTypedPodInformerWithOptions(c.client, namespace, internalinterfaces.InformerOptions{Indexers: podIndexers})
		return newStore(informer, trimPod, c.podHandler(), w)
	}}
}

// publishedOnDemand watches the EndpointSlices of Kubernetes' own controller.
func (c *Controller) publishedOnDemand() *onDemand[*discoveryv1.EndpointSlice] {
	return &onDemand[*discoveryv1.EndpointSlice]{stores: map[string]watchedStore[*discoveryv1.EndpointSlice]{}, shares: c.shares, began: func(string) {}, make: func(namespace string, w *watched) (store[*discoveryv1.EndpointSlice], error) {
		informer := discoveryinformers.NewTypedEndpointSliceInformerWithOptions(c.client, namespace, internalinterfaces.InformerOptions{
			Indexers:         sliceIndexers,
			TweakListOptions: func(o *metav1.ListOptions) { o.LabelSelector = observation.IsBuiltIn },
		})
		return newStore(informer, trimPublished, c.publishedHandler(), w)
	}}
}

// start must be called once, before any other method.
func (d *onDemand[T]) start(ctx context.Context, running *sync.WaitGroup) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.ctx, d.running = ctx, running
}

// in returns the store of the namespace, or errUnsynced. It does not wait.
func (d *onDemand[T]) in(namespace string) (store[T], error) {
	s, err := d.watch(namespace)
	if err == nil && !s.informer.HasSynced() {
		err = errUnsynced
	}
	return s, err
}

// consider begins one watch of all namespaces, if any is watched and there must be one.
func (d *onDemand[T]) consider() {
	d.lock.Lock()
	watches := len(d.stores) > 0
	d.lock.Unlock()
	if watches && d.shares() {
		// A watch that cannot be made is tried again by the next that asks for one.
		_, _ = d.watch(metav1.NamespaceAll)
	}
}

// known returns the store of the namespace if it is watched.
func (d *onDemand[T]) known(namespace string) (store[T], bool) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if s, found := d.stores[namespace]; found {
		return s.store, true
	}
	s, found := d.stores[metav1.NamespaceAll]
	return s.store, found && s.informer.HasSynced()
}

func (d *onDemand[T]) watch(namespace string) (store[T], error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if s, found := d.stores[namespace]; found {
		return s.store, nil
	}
	all, shared := d.stores[metav1.NamespaceAll]
	switch {
	case shared && (all.informer.HasSynced() || !is(all.refused)):
		return all.store, nil
	case !shared && d.shares():
		namespace = metav1.NamespaceAll
	}
	w := newWatched()
	s, err := d.make(namespace, w)
	if err != nil {
		return s, err
	}
	ctx, stop := context.WithCancel(d.ctx) //nolint:gosec // forget calls it
	d.stores[namespace] = watchedStore[T]{s, w.refused, stop}
	d.running.Go(func() { s.informer.RunWithContext(ctx) })
	if namespace == metav1.NamespaceAll {
		d.running.Go(func() {
			select {
			case <-w.refused:
				// What waits for it gets a watch of its own.
				d.began(namespace)
			case <-ctx.Done():
			}
		})
	}
	d.running.Go(func() {
		if cache.WaitFor(ctx, "", s.informer.HasSyncedChecker()) {
			if namespace == metav1.NamespaceAll {
				d.stopOthers()
			}
			d.began(namespace)
		}
	})
	return s, nil
}

// stopOthers ends the watches of single namespaces.
func (d *onDemand[T]) stopOthers() {
	d.lock.Lock()
	defer d.lock.Unlock()
	for namespace, s := range d.stores {
		if namespace != metav1.NamespaceAll {
			s.stop()
			delete(d.stores, namespace)
		}
	}
}

// all returns the watched objects that the named index files under value.
func (d *onDemand[T]) all(index, value string) (found []T) {
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, s := range d.stores {
		found = append(found, s.by(index, value)...)
	}
	return found
}

// wrote makes the result of a write visible at once.
func (d *onDemand[T]) wrote(o T) {
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, namespace := range []string{o.GetNamespace(), metav1.NamespaceAll} {
		if s, found := d.stores[namespace]; found {
			s.wrote(o)
		}
	}
}

// forget ends the watch of a namespace that is no longer needed; in starts another when
// it is needed again.
func (d *onDemand[T]) forget(namespace string, needless func() bool) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if s, found := d.stores[namespace]; found && needless() {
		s.stop()
		delete(d.stores, namespace)
	}
}
