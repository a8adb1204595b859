// Package controller keeps elections. Events put the keys of elections into a queue;
// reconcile.go is the road that each key takes: gather, observe, decide, confirm,
// record, route, demote, report. Several replicas run it at once without a leader: the
// API server arbitrates between their writes. Only programs and tests import it.
package controller

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/heartbeat"
	"qoqo.dev/active-standby-controller/pkg/live"
	"qoqo.dev/active-standby-controller/pkg/nodeprobe"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

const (
	// deletedFor is how long the deletion of a pod is remembered. The informer shows it
	// after milliseconds.
	deletedFor = time.Minute
	// deletedMax is how many deletions are remembered. Forgetting one costs a request.
	deletedMax = 4096
	// routedFor is how long it is remembered that a Service was seen routed: longer than it is
	// until the next look. routedMax is of how many Services.
	routedFor = time.Hour
	routedMax = 4096
)

const (
	// workers is how many elections are reconciled concurrently, and namespaceWorkers how many of
	// them can be of one namespace. When a node with hundreds of masters dies, this many fail
	// over at a time; each of them waits for the API server nearly all the time.
	workers, namespaceWorkers = 64, 32
	// Keys are retried for ever: dropping one would leave a Service without its failover
	// until the next event or slow look.
	retryMin, retryMax = 5 * time.Millisecond, 5 * time.Second
	// refusedRetryMax is how long the pause between two tries grows at most where the API server refuses
	// for good what is written. Whatever changes in the cluster ends the pause; a policy that
	// changes is not watched. The pause is no longer than the refusal has lasted so far.
	refusedRetryMax = 2 * time.Minute
	// syncTimeout bounds one reconciliation. A timeout is retried like any other error.
	syncTimeout = 15 * time.Second
	// slowLook is how long after its last reconciliation an election is reconciled again
	// although nothing has changed; jitter adds up to as much. It sends no request where
	// all is well, and ends every wait for an event that will not come.
	slowLook = 5 * time.Minute
	// stuckAfter is how long a reconciliation may take before Alive returns an error.
	// syncTimeout ends it long before.
	stuckAfter = time.Minute
)

// key names the Lease of an election. A key with an empty Name stands for what former
// elections have left behind in a namespace.
type key = types.NamespacedName

// Controller is one replica. Its methods may be called from any goroutine.
type Controller struct {
	// ProbeAnyAddress: pods are probed also on the network of their node, and at addresses that
	// no pod has. It must be set before Run.
	ProbeAnyAddress bool
	// DefaultRouting is the routing of Services that leave the choice: RoutingSelector, which New
	// sets, or RoutingEndpointSlice. It must be set before Run.
	DefaultRouting api.Routing
	// DefaultProbe is the probe of Services that ask for none; the zero value asks nothing. It must be
	// set before Run.
	DefaultProbe api.Probe
	// ElectionMetrics is of how many elections there are metrics of their own; New sets
	// DefaultElectionMetrics. It must be set before State is called.
	ElectionMetrics int

	client   kubernetes.Interface
	recorder events.EventRecorder
	metrics  *metrics
	queue    workqueue.TypedRateLimitingInterface[key]

	services scoped[*corev1.Service]
	leases   scoped[*coordinationv1.Lease]
	// slices are all EndpointSlices but those of Kubernetes' own controller.
	slices scoped[*discoveryv1.EndpointSlice]
	nodes  store[*corev1.Node]
	// drainTaints are the keys of the taints that count as a cordon.
	drainTaints sets.Set[string]
	// heartbeats is nil if the controller does not listen to nodes.
	heartbeats *heartbeat.Monitor
	// nodeProbes is nil if the controller does not ask nodes.
	nodeProbes *nodeprobe.Prober
	prober     *probe.Prober
	pods       *onDemand[*corev1.Pod]
	census     *census
	// published are the EndpointSlices of Kubernetes' own controller. No decision rests on them.
	published  *onDemand[*discoveryv1.EndpointSlice]
	warnings   *warnings
	conditions *conditions
	memory     *memory
	refusals   *refusals
	// refusedAgain says when what was refused is tried again.
	refusedAgain workqueue.TypedRateLimiter[key]
	turns        *turns
	places       *places
	// deleted holds the UIDs of pods that this replica has deleted.
	deleted *utilcache.LRUExpireCache
	// routedOnce holds the UIDs of Services that this replica has seen routed. Only what is
	// reported depends on it.
	routedOnce *utilcache.LRUExpireCache
	// spent holds the elections on which an epoch was spent just now.
	spent *utilcache.LRUExpireCache
	// began holds the elections whose Lease this replica has created just now. A watch of Services
	// that is late would have it created again as often as it is deleted.
	began *utilcache.LRUExpireCache
	// seed makes this replica's lag differ from that of others; see lag.
	seed maphash.Seed
	live live.Reader

	// watched has, by namespace as in scoped, what must be synced before elections of the
	// namespace are reconciled. nodesWatched is the same of the nodes, which are optional.
	watched      map[string]*watched
	nodesWatched *watched
	lock         sync.Mutex
	// busy holds when the reconciliation of each key in progress began.
	busy map[key]time.Time
}

// New returns a controller of the Services in the namespaces, or in all namespaces if
// none is given. A node counts as dead after heartbeatTimeout without a heartbeat; with 0
// the controller does not listen to nodes, and Kubernetes' own timeouts apply. A taint with
// one of the keys drainTaints counts as a cordon. The controller does nothing before Run.
func New(client kubernetes.Interface, recorder events.EventRecorder, namespaces []string, heartbeatTimeout time.Duration, drainTaints []string) (*Controller, error) {
	c := &Controller{
		DefaultRouting:  api.RoutingSelector,
		ElectionMetrics: DefaultElectionMetrics,

		client:   client,
		recorder: recorder,
		metrics:  newMetrics(),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[key](retryMin, retryMax),
			workqueue.TypedRateLimitingQueueConfig[key]{Name: "elections", DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[key]{
				Name: "elections", Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[key]{Name: "elections", Queue: newFair()}),
			})},
		),
		warnings:     newWarnings(),
		conditions:   newConditions(),
		memory:       newMemory(),
		refusals:     newRefusals(time.Now),
		refusedAgain: workqueue.NewTypedItemExponentialFailureRateLimiter[key](retryMin, refusedRetryMax),
		live:         live.NewReader(client, trimPod),
		seed:         maphash.MakeSeed(),
		drainTaints:  sets.New(drainTaints...),
		deleted:      utilcache.NewLRUExpireCache(deletedMax),
		spent:        utilcache.NewLRUExpireCache(deletedMax),
		began:        utilcache.NewLRUExpireCache(deletedMax),
		routedOnce:   utilcache.NewLRUExpireCache(routedMax),
		watched:      map[string]*watched{}, nodesWatched: newWatched(),
		busy: map[key]time.Time{},
	}
	c.turns, c.places = newTurns(time.Now, c.lag), newPlaces()
	c.pods, c.published = c.podsOnDemand(), c.publishedOnDemand()
	c.census = newCensus(client, func() {
		c.pods.consider()
		c.published.consider()
	})
	if heartbeatTimeout > 0 {
		c.heartbeats = heartbeat.New(c.client, heartbeatTimeout, c.lookAtNode)
	}
	c.prober = probe.New(c.probed)
	return c, c.addInformers(namespaces)
}

// Run reconciles until ctx is done, and then finishes what it has begun. It must be
// called once. It returns an error if the API server was restored from a backup: then the
// program must begin anew, without what it has cached.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logger := klog.FromContext(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer c.queue.ShutDown()
	c.metrics.begin()

	informing, stop := context.WithCancel(ctx)
	defer stop()
	c.pods.start(informing, &running)
	c.published.start(informing, &running)
	running.Go(func() { c.census.run(informing) })
	if c.heartbeats != nil {
		running.Go(func() { c.heartbeats.Run(informing) })
	}
	if c.nodeProbes != nil {
		running.Go(func() { c.nodeProbes.Run(informing) })
	}
	running.Go(func() { c.prober.Run(informing) })
	c.nodesWatched.run(informing, &running, "Nodes", func() {})
	for namespace, w := range c.watched {
		w.run(informing, &running, watchedIn(namespace), func() { c.begin(ctx, namespace) })
	}
	logger.Info("Started", "workers", workers)

	// A reconciliation in progress when ctx ends is not cut short: another replica would
	// find a switch half done.
	syncing := context.WithoutCancel(ctx)
	for range workers {
		running.Go(func() {
			// Another replica, or the next start, does what is still queued.
			for ctx.Err() == nil && c.next(syncing) {
			}
		})
	}
	restored := c.watchForRestore(ctx)
	cancel()
	logger.Info("Stopping")
	return restored
}

// begin reconciles the elections of a namespace, or of all, once its caches are synced. What
// its events have asked for before was left alone. It waits for the nodes, unless they must not
// be watched: an endpoint would be written without a zone, and once more with it.
func (c *Controller) begin(ctx context.Context, namespace string) {
	select {
	case <-c.nodesWatched.synced:
	case <-c.nodesWatched.refused:
	case <-ctx.Done():
		return
	}
	if namespace == metav1.NamespaceAll && c.annotatedNamespaces() > separateNamespaces {
		// Otherwise each namespace would get a watch of its own first.
		if err := c.census.count(ctx); err != nil {
			klog.FromContext(ctx).V(4).Info("Failed to count the pods", "reason", err)
		}
	}
	w := c.watched[namespace]
	close(w.begun)
	handle(c.services[namespace], c.serviceHandler())
	handle(c.leases[namespace], c.leaseHandler())
	handle(c.slices[namespace], c.sliceHandler())
	c.findLeftovers(ctx, namespace)
}

// handle calls the handler with each object of the store.
func handle[T cache.Object](s store[T], handler cache.TypedResourceEventHandler[T]) {
	for _, o := range s.all() {
		handler.OnAdd(o, true)
	}
}

// watchedIn says what is watched in a namespace.
func watchedIn(namespace string) string {
	const what = "Services, Leases and EndpointSlices"
	if namespace == metav1.NamespaceAll {
		return what
	}
	return what + " of " + namespace
}

// Ready returns why the controller does not work yet, nil once it does. What it has no rights
// for keeps it from nothing else: neither the nodes, nor one of several namespaces.
func (c *Controller) Ready() error {
	var awaited, refused []string
	for _, namespace := range slices.Sorted(maps.Keys(c.watched)) {
		switch w := c.watched[namespace]; {
		case is(w.begun):
		case is(w.refused):
			refused = append(refused, watchedIn(namespace))
		default:
			awaited = append(awaited, watchedIn(namespace))
		}
	}
	switch {
	case len(awaited) > 0:
		return fmt.Errorf("the caches of %s, or of Nodes, are not yet synced", strings.Join(awaited, "; "))
	case len(refused) == len(c.watched):
		return fmt.Errorf("there are no rights to watch %s", strings.Join(refused, "; "))
	}
	return nil
}

// begun reports whether elections of the namespace are reconciled.
func (c *Controller) begun(namespace string) bool {
	w, found := c.watched[namespace]
	if !found {
		w = c.watched[metav1.NamespaceAll]
	}
	return is(w.begun)
}

// Alive returns an error that names the key at which a worker is stuck, nil if none is.
func (c *Controller) Alive() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	for k, since := range c.busy {
		if took := time.Since(since); took > stuckAfter {
			return fmt.Errorf("the sync of %s has taken %s so far", k, took.Round(time.Second))
		}
	}
	return nil
}

func (c *Controller) next(ctx context.Context) bool {
	k, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(k)
	if !c.begun(k.Namespace) {
		// begin adds it.
		return true
	}
	if !c.places.take(k) {
		return true
	}
	defer func() {
		if next, found := c.places.leave(k.Namespace); found {
			c.queue.Add(next)
		}
	}()
	c.setBusy(k, true)
	defer c.setBusy(k, false)

	logger := klog.FromContext(ctx).WithValues("lease", klog.KRef(k.Namespace, k.Name))
	ctx, cancel := context.WithTimeout(klog.NewContext(ctx, logger), syncTimeout)
	defer cancel()
	again, err := road{c, c, c, c}.reconcile(ctx, k)
	c.turns.ended(k)
	// Even after an error: retries back off, and this election may be due earlier.
	if again = soonest(again, c.slowLook(k)); again > 0 {
		c.queue.AddAfter(k, again)
	}
	switch {
	case err == nil, errors.Is(err, errUnsynced):
		// What is not synced yet adds the key when it is.
		c.settled(k)
	case onlyRefused(err):
		failures := c.refusedAgain.NumRequeues(k) + 1
		again = c.refusedAgain.When(k)
		if failures > 1 || !apierrors.IsAlreadyExists(err) {
			// At first, another replica may have made it.
			logger.Error(errors.New(logged(err.Error())), "Refused, will retry", "failures", failures, "after", again)
		}
		c.queue.AddAfter(k, again)
	case errors.Is(err, errTurn):
		// What has failed before counts as before.
	case errors.Is(err, errOthersFirst):
		c.settled(k)
		c.queue.Add(k)
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, errAwaited), errors.Is(err, errPaced), errors.Is(err, errBegun):
		// Another replica was first, or the cache or Kubernetes' controller is behind.
		logger.V(4).Info("Retrying", "reason", logged(err.Error()))
		c.queue.AddRateLimited(k)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// Everything in it goes with the namespace.
		c.settled(k)
	default:
		logger.Error(errors.New(logged(err.Error())), "Failed to reconcile, will retry", "failures", c.queue.NumRequeues(k)+1)
		c.queue.AddRateLimited(k)
	}
	return true
}

// settled lets the next error of the election be retried soon.
func (c *Controller) settled(k key) {
	c.queue.Forget(k)
	c.refusedAgain.Forget(k)
}

// turn implements pacer.
func (c *Controller) turn(k key, l *coordinationv1.Lease, usual time.Duration) time.Duration {
	return c.turns.wait(k, l, usual)
}

// crowded implements pacer.
func (c *Controller) crowded() bool { return c.queue.Len() > 0 || c.places.crowded() }

func (c *Controller) setBusy(k key, busy bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if busy {
		c.busy[k] = time.Now()
	} else {
		delete(c.busy, k)
	}
}

func (c *Controller) isBusy(k key) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	_, busy := c.busy[k]
	return busy
}

// slowLook returns after how long to reconcile an election again whatever happens; 0 if
// no Service asks for the election.
func (c *Controller) slowLook(k key) time.Duration {
	if len(c.services.in(k.Namespace).by(byLease, k.String())) == 0 {
		return 0
	}
	return wait.Jitter(slowLook, 1)
}
