// Package heartbeat finds out that a node is dead before Kubernetes does. A node's
// heartbeat is its Lease in kube-node-lease, which its kubelet renews every 10 s.
// Kubernetes marks the pods of a dead node NotReady only 40-55 s after it has stopped.
// The package knows nothing of elections.
//
// A node dies in three steps. It is silent for the timeout. Most of the other nodes were
// heard regularly all that time, so that neither this process nor the API server is to
// blame. And the API server confirms that the node's Lease was not renewed, or is gone. The
// node lives again with the next renewal.
//
// A few nodes that are wanted are watched each with a watch of its own, because a cluster may
// have many nodes of which few matter. Once more of them are wanted, one watch shows all.
package heartbeat

import (
	"context"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	coordinationinformers "k8s.io/client-go/informers/coordination/v1"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// MinTimeout is the shortest timeout, two and a half of the kubelets' intervals: one
// heartbeat may be missed, and the next one may be late.
const MinTimeout = kubeletInterval * 5 / 2

const (
	// tick is how often the monitor looks which nodes are silent.
	tick = time.Second
	// confirmTimeout bounds a read of a silent node's Lease.
	confirmTimeout = 5 * time.Second
	// separate is how many nodes can have watches of their own. Such a watch takes as much memory
	// as two hundred Leases that one watch of all shows.
	separate = 10
)

// Monitor watches the heartbeats of some nodes. Its methods may be called from any
// goroutine.
type Monitor struct {
	client  kubernetes.Interface
	timeout time.Duration
	changed func(node string)

	// refused lets the lack of rights be said once.
	refused sync.Once

	lock sync.Mutex
	// ctx ends every watch; nil before Run and after it. running counts the watches.
	ctx     context.Context
	running sync.WaitGroup
	// wanted has the nodes that matter to each key.
	wanted map[types.NamespacedName]sets.Set[string]
	// keys counts the keys to which each node matters.
	keys map[string]int
	// nodes has what is known of each node that is watched, and stops what ends its watch if
	// that is its own. all is the watch of all nodes, nil if there was never a need for it.
	nodes   map[string]*node
	stops   map[string]context.CancelFunc
	all     cache.SharedIndexInformer
	watcher watcher
}

// New returns a monitor that takes a node for dead after timeout without a heartbeat. The
// timeout must be MinTimeout or more. The monitor calls changed, which must not block,
// with each node that dies or lives again. It watches nothing before Run.
func New(client kubernetes.Interface, timeout time.Duration, changed func(node string)) *Monitor {
	return &Monitor{
		client: client, timeout: timeout, changed: changed,
		wanted: map[types.NamespacedName]sets.Set[string]{}, keys: map[string]int{}, nodes: map[string]*node{}, stops: map[string]context.CancelFunc{},
	}
}

// Run watches until ctx is done, and returns when every watch has ended. It must be
// called once only.
func (m *Monitor) Run(ctx context.Context) {
	m.begin(ctx)
	defer m.end()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.look(ctx)
		}
	}
}

// Dead reports whether the node is dead: it has been silent for the timeout while others
// were not, and the API server has confirmed this. It is false for a node that is not wanted.
func (m *Monitor) Dead(name string) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	n, found := m.nodes[name]
	return found && n.dead
}

// Heard returns when the latest heartbeat of the node was heard; zero if none was, or the node is
// not wanted.
func (m *Monitor) Heard(name string) time.Time {
	m.lock.Lock()
	defer m.lock.Unlock()
	if n, found := m.nodes[name]; found {
		return n.renewed
	}
	return time.Time{}
}

// Read reads a node's Lease from the API server, because the watch may be late. A node that has
// none, or whose Lease must not be read, is not heard. It returns an error if the API server does
// not answer.
func (m *Monitor) Read(ctx context.Context, name string) error {
	err := m.read(ctx, name)
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

// Want sets which nodes matter to key from now on; none if nodes is empty. A node that
// matters to no key costs nothing, and nothing is known of it.
func (m *Monitor) Want(key types.NamespacedName, nodes sets.Set[string]) {
	m.lock.Lock()
	defer m.lock.Unlock()
	before := m.wanted[key]
	m.wanted[key] = nodes
	if nodes.Len() == 0 {
		delete(m.wanted, key)
	}
	for name := range nodes {
		if !before.Has(name) {
			m.keys[name]++
			m.adjust(name)
		}
	}
	for name := range before {
		if !nodes.Has(name) {
			m.keys[name]--
			m.adjust(name)
		}
	}
}

// begin starts the watches of the nodes that were wanted before Run. Each watch ends with
// ctx.
func (m *Monitor) begin(ctx context.Context) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.ctx = ctx
	m.watcher.looked = time.Now()
	for name := range m.keys {
		m.adjust(name)
	}
}

// end waits until the watches have ended. No other one starts after it.
func (m *Monitor) end() {
	m.lock.Lock()
	m.ctx = nil
	m.lock.Unlock()
	m.running.Wait()
}

// adjust makes the watch of a node follow whether it matters to a key. It forgets what is known of
// a node that matters to none any longer. The lock must be held. Before Run and after it, nothing
// is watched.
func (m *Monitor) adjust(name string) {
	if m.keys[name] == 0 {
		delete(m.keys, name)
	}
	if m.ctx == nil {
		return
	}
	_, watched := m.nodes[name]
	switch _, wanted := m.keys[name]; {
	case wanted && !watched:
		m.watch(name)
	case !wanted && watched:
		m.stop(name)
		delete(m.nodes, name)
	}
}

// watch starts the watch of a node's Lease, or that of all. The lock must be held.
func (m *Monitor) watch(name string) {
	n := &node{}
	m.nodes[name] = n
	if m.all == nil && len(m.nodes) > separate {
		ctx, all := m.ctx, m.inform(m.ctx, fields.Everything())
		m.all = all
		m.running.Go(func() {
			// Until then, the others go on.
			if cache.WaitFor(ctx, "", all.HasSyncedChecker()) {
				m.lock.Lock()
				defer m.lock.Unlock()
				for name := range m.nodes {
					m.stop(name)
				}
			}
		})
	}
	if m.all == nil {
		ctx, stop := context.WithCancel(m.ctx)
		m.stops[name] = stop
		m.inform(ctx, fields.OneTermEqualSelector(metav1.ObjectNameField, name))
	} else if seen, found, _ := m.all.GetStore().GetByKey(corev1.NamespaceNodeLease + "/" + name); found {
		n.heard(seen.(*coordinationv1.Lease).Spec, time.Now())
	}
}

// stop ends a node's own watch, if it has one. The lock must be held.
func (m *Monitor) stop(name string) {
	if stop, found := m.stops[name]; found {
		stop()
		delete(m.stops, name)
	}
}

// trim keeps of a Lease what is read of it.
func trim(o any) (any, error) {
	l, ok := o.(*coordinationv1.Lease)
	if !ok {
		return o, nil
	}
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name, ResourceVersion: l.ResourceVersion},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: l.Spec.LeaseDurationSeconds, RenewTime: l.Spec.RenewTime},
	}, nil
}

// inform starts a watch of the nodes' Leases that the selector selects.
func (m *Monitor) inform(ctx context.Context, selector fields.Selector) cache.SharedIndexInformer {
	informer := coordinationinformers.NewTypedLeaseInformerWithOptions(m.client, corev1.NamespaceNodeLease, internalinterfaces.InformerOptions{
		TweakListOptions: func(o *metav1.ListOptions) { o.FieldSelector = selector.String() },
	})
	if err := informer.SetTransform(trim); err != nil {
		// This fails only for an informer that runs, as the next two do.
		klog.FromContext(ctx).Error(err, "Failed to trim heartbeats")
	}
	if _, err := informer.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*coordinationv1.Lease]{
		AddFunc:    m.heard,
		UpdateFunc: func(_, now *coordinationv1.Lease) { m.heard(now) },
		// A Lease that is deleted is not renewed: that is silence, as any other.
	}); err != nil {
		klog.FromContext(ctx).Error(err, "Failed to watch heartbeats")
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !apierrors.IsForbidden(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
			return
		}
		m.refused.Do(func() {
			klog.FromContext(ctx).Error(err, "Failed to watch heartbeats without rights, will retry")
		})
	}); err != nil {
		klog.FromContext(ctx).Error(err, "Failed to handle errors of the watch of heartbeats")
	}
	m.running.Go(func() { informer.RunWithContext(ctx) })
	return informer
}

// heard records what a node's Lease says, from the watch or from a read.
func (m *Monitor) heard(lease *coordinationv1.Lease) {
	m.lock.Lock()
	n, found := m.nodes[lease.Name]
	revived := found && n.heard(lease.Spec, time.Now())
	m.lock.Unlock()
	if revived {
		m.changed(lease.Name)
	}
}

// look looks for nodes that have died.
func (m *Monitor) look(ctx context.Context) {
	m.lock.Lock()
	suspects := m.watcher.suspects(m.nodes, m.timeout, time.Now())
	m.lock.Unlock()
	for _, name := range suspects {
		if err := m.confirm(ctx, name); err != nil {
			klog.FromContext(ctx).V(4).Info("Failed to confirm silence", "node", name, "reason", err)
		}
	}
}

// confirm reads a suspect's Lease from the API server, because the watch may be late, and
// marks the node dead if it is silent by that too. If the read fails, the node is a
// suspect again at the next tick.
func (m *Monitor) confirm(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	if err := m.read(ctx, name); err != nil {
		return err
	}
	now := time.Now()
	m.lock.Lock()
	n, found := m.nodes[name]
	died := found && m.watcher.silent(n, m.timeout, now)
	if died {
		n.dead = true
		klog.FromContext(ctx).Info("Node heartbeat timed out", "node", name, "silentFor", now.Sub(n.renewed).Round(time.Second))
	}
	m.lock.Unlock()
	if died {
		m.changed(name)
	}
	return nil
}

// read reads a node's Lease. That there is none is no error: it is silence, as any other.
func (m *Monitor) read(ctx context.Context, name string) error {
	lease, err := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	m.heard(lease)
	return nil
}
