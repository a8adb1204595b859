package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// syncWait is how long a worker waits for the pods of a namespace to be listed, which
// usually takes milliseconds. Then it turns to other elections, and retries later.
const syncWait = time.Second

// byNode is the index of pods by their node.
const byNode = "node"

var podIndexers = cache.Indexers{
	cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
	byNode: func(o any) ([]string, error) {
		return []string{o.(*corev1.Pod).Spec.NodeName}, nil
	},
}

// podStores watches the pods of the namespaces that have an annotated Service. Other
// namespaces cost nothing.
type podStores struct {
	client  kubernetes.Interface
	handler cache.TypedResourceEventHandler[*corev1.Pod]

	lock sync.Mutex
	// ctx ends every watch; running waits for them.
	ctx     context.Context
	running *sync.WaitGroup
	stores  map[string]podStore
}

type podStore struct {
	store[*corev1.Pod]
	stop context.CancelFunc
}

func newPodStores(client kubernetes.Interface, handler cache.TypedResourceEventHandler[*corev1.Pod]) *podStores {
	return &podStores{client: client, handler: handler, stores: map[string]podStore{}}
}

// start must be called once, before any other method.
func (p *podStores) start(ctx context.Context, running *sync.WaitGroup) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.ctx, p.running = ctx, running
}

// in returns the store of the namespace once it is synced, and an error if that takes too long.
func (p *podStores) in(ctx context.Context, namespace string) (store[*corev1.Pod], error) {
	s, err := p.watch(namespace)
	if err != nil {
		return s, err
	}
	if s.informer.HasSynced() {
		return s, nil
	}
	waiting, cancel := context.WithTimeout(klog.NewContext(ctx, klog.FromContext(ctx).V(4)), syncWait)
	defer cancel()
	if !cache.WaitFor(waiting, "Pods of "+namespace, s.informer.HasSyncedChecker()) {
		return s, fmt.Errorf("the cache of the pods in %s is not yet synced", namespace)
	}
	return s, nil
}

func (p *podStores) watch(namespace string) (store[*corev1.Pod], error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if s, found := p.stores[namespace]; found {
		return s.store, nil
	}
	informer := coreinformers.NewTypedPodInformerWithOptions(p.client, namespace, internalinterfaces.InformerOptions{
		Indexers: podIndexers,
	})
	s, err := newStore(informer, trimPod, p.handler, newWatched())
	if err != nil {
		return s, err
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.stores[namespace] = podStore{s, stop}
	p.running.Go(func() { informer.RunWithContext(ctx) })
	return s, nil
}

// on returns the watched pods on a node.
func (p *podStores) on(node string) (pods []*corev1.Pod) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, s := range p.stores {
		pods = append(pods, s.by(byNode, node)...)
	}
	return pods
}

// wrote makes the result of a write visible at once.
func (p *podStores) wrote(pod *corev1.Pod) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if s, found := p.stores[pod.Namespace]; found {
		s.wrote(pod)
	}
}

// forget ends the watch of a namespace that is no longer needed; in starts another when
// it is needed again.
func (p *podStores) forget(namespace string, needless func() bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if s, found := p.stores[namespace]; found && needless() {
		s.stop()
		delete(p.stores, namespace)
	}
}
