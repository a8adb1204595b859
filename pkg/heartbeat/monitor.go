// Package heartbeat finds out that a node is dead before Kubernetes says so: its
// kubelet renews a Lease in kube-node-lease every 10 s, and the pods on a node
// are marked NotReady only 40-55 s after it has stopped. It knows nothing of
// elections.
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

// MinTimeout is two and a half of the kubelets' intervals: one heartbeat may be
// missed, and the next be late.
const MinTimeout = kubeletInterval * 5 / 2

const (
	// tick is how often it is looked which nodes are silent.
	tick = time.Second
	// confirmTimeout bounds the question whether one is.
	confirmTimeout = 5 * time.Second
)

// Monitor observes the heartbeats of some nodes. Its methods may be called from
// any goroutine.
type Monitor struct {
	client  kubernetes.Interface
	timeout time.Duration
	changed func(node string)

	lock sync.Mutex
	// ctx ends every watch, and running counts them; nil before Run and after it.
	ctx     context.Context
	running sync.WaitGroup
	wanted  map[types.NamespacedName]sets.Set[string]
	nodes   map[string]*node
	stops   map[string]context.CancelFunc
	watcher watcher
}

// New returns a monitor for which a node is dead after timeout, of MinTimeout or
// more, without a heartbeat. It tells changed, which must not block, of each node
// that dies or is heard again. It does nothing before Run.
func New(client kubernetes.Interface, timeout time.Duration, changed func(node string)) *Monitor {
	return &Monitor{
		client: client, timeout: timeout, changed: changed,
		wanted: map[types.NamespacedName]sets.Set[string]{}, nodes: map[string]*node{}, stops: map[string]context.CancelFunc{},
	}
}

// Run works until ctx is done. It is called once.
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

// Dead says whether the node has been silent for long, while others were not. The
// API server has confirmed it.
func (m *Monitor) Dead(name string) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	n, found := m.nodes[name]
	return found && n.dead
}

// Want says which nodes matter to key from now on; none if nodes is empty. The
// others cost nothing.
func (m *Monitor) Want(key types.NamespacedName, nodes sets.Set[string]) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.wanted[key].Equal(nodes) {
		return
	}
	m.wanted[key] = nodes
	if nodes.Len() == 0 {
		delete(m.wanted, key)
	}
	m.adjust()
}

// begin makes watches begin, which end with ctx.
func (m *Monitor) begin(ctx context.Context) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.ctx = ctx
	m.watcher.looked = time.Now()
	m.adjust()
}

// end waits until the watches have ended, and no other begins.
func (m *Monitor) end() {
	m.lock.Lock()
	m.ctx = nil
	m.lock.Unlock()
	m.running.Wait()
}

// adjust begins and ends watches.
func (m *Monitor) adjust() {
	if m.ctx == nil {
		return
	}
	all := sets.New[string]()
	for _, nodes := range m.wanted {
		all.Insert(nodes.UnsortedList()...)
	}
	for name, stop := range m.stops {
		if !all.Has(name) {
			stop()
			delete(m.stops, name)
			delete(m.nodes, name)
		}
	}
	for name := range all {
		if _, found := m.nodes[name]; !found {
			m.watch(name)
		}
	}
}

func (m *Monitor) watch(name string) {
	ctx, stop := context.WithCancel(m.ctx)
	m.nodes[name], m.stops[name] = &node{}, stop
	informer := coordinationinformers.NewTypedLeaseInformerWithOptions(m.client, corev1.NamespaceNodeLease, internalinterfaces.InformerOptions{
		TweakListOptions: func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		},
	})
	if _, err := informer.AddTypedEventHandler(cache.TypedResourceEventHandlerFuncs[*coordinationv1.Lease]{
		AddFunc:    m.heard,
		UpdateFunc: func(_, now *coordinationv1.Lease) { m.heard(now) },
		DeleteFunc: func(cache.DeletedObject[*coordinationv1.Lease]) { m.reset(name) },
	}); err != nil {
		// It fails only for an informer that was stopped.
		klog.FromContext(ctx).Error(err, "Cannot observe the heartbeats", "node", name)
	}
	m.running.Go(func() { informer.RunWithContext(ctx) })
}

func (m *Monitor) heard(lease *coordinationv1.Lease) {
	m.lock.Lock()
	n, found := m.nodes[lease.Name]
	revived := found && n.heard(lease.Spec, time.Now())
	m.lock.Unlock()
	if revived {
		m.changed(lease.Name)
	}
}

// reset forgets what is known of a node whose Lease is gone.
func (m *Monitor) reset(name string) {
	m.lock.Lock()
	n, found := m.nodes[name]
	revived := found && n.dead
	if found {
		*n = node{}
	}
	m.lock.Unlock()
	if revived {
		m.changed(name)
	}
}

// look finds the nodes that have died.
func (m *Monitor) look(ctx context.Context) {
	m.lock.Lock()
	suspects := m.watcher.suspects(m.nodes, m.timeout, time.Now())
	m.lock.Unlock()
	for _, name := range suspects {
		if err := m.confirm(ctx, name); err != nil {
			klog.FromContext(ctx).V(4).Info("A node is silent, which cannot be confirmed", "node", name, "reason", err)
		}
	}
}

// confirm asks the API server for a suspect's Lease, of which a watch may be late to
// tell. If it can't be asked, the node is a suspect again at the next tick.
func (m *Monitor) confirm(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	lease, err := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		m.reset(name)
		return nil
	case err != nil:
		return err
	}
	m.heard(lease)
	now := time.Now()
	m.lock.Lock()
	n, found := m.nodes[name]
	died := found && m.watcher.silent(n, m.timeout, now)
	if died {
		n.dead = true
		klog.FromContext(ctx).Info("A node has sent no heartbeat", "node", name, "for", now.Sub(n.renewed).Round(time.Second))
	}
	m.lock.Unlock()
	if died {
		m.changed(name)
	}
	return nil
}
