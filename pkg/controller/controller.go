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
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/heartbeat"
	"qoqo.dev/active-standby-controller/pkg/live"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

const (
	// deletedFor is how long the deletion of a pod is remembered. The informer shows it
	// after milliseconds.
	deletedFor = time.Minute
	// deletedMax is how many deletions are remembered. Forgetting one costs a request.
	deletedMax = 4096
)

const (
	// workers is how many elections are reconciled concurrently. When a node with
	// hundreds of masters dies, this many fail over at a time; each of them waits for the
	// API server nearly all the time.
	workers = 32
	// Keys are retried for ever: dropping one would leave a Service without its failover
	// until the next event or slow look.
	retryMin, retryMax = 5 * time.Millisecond, 5 * time.Second
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
	client   kubernetes.Interface
	recorder events.EventRecorder
	metrics  *metrics
	queue    workqueue.TypedRateLimitingInterface[key]

	services scoped[*corev1.Service]
	leases   scoped[*coordinationv1.Lease]
	// slices are all EndpointSlices but those of Kubernetes' own controller.
	slices scoped[*discoveryv1.EndpointSlice]
	// zones are the zones of nodes, by the nodes' names.
	zones *utilcache.LRUExpireCache
	// nodes are the nodes that are cordoned.
	nodes store[*corev1.Node]
	// heartbeats is nil if the controller does not listen to nodes.
	heartbeats *heartbeat.Monitor
	prober     *probe.Prober
	pods       *podStores
	warnings   *warnings
	outages    *outages
	refusals   *refusals
	// deleted holds the UIDs of pods that this replica has deleted.
	deleted *utilcache.LRUExpireCache
	// seed makes this replica's lag differ from that of others; see lag.
	seed maphash.Seed
	live live.Reader

	synced chan struct{}
	lock   sync.Mutex
	// busy holds when the reconciliation of each key in progress began.
	busy map[key]time.Time
}

// New returns a controller of the Services in the namespaces, or in all namespaces if
// none is given. A node counts as dead after heartbeatTimeout without a heartbeat; with 0
// the controller does not listen to nodes, and Kubernetes' own timeouts apply. The
// controller does nothing before Run.
func New(client kubernetes.Interface, recorder events.EventRecorder, namespaces []string, heartbeatTimeout time.Duration) (*Controller, error) {
	c := &Controller{
		client:   client,
		recorder: recorder,
		metrics:  newMetrics(),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[key](retryMin, retryMax),
			workqueue.TypedRateLimitingQueueConfig[key]{Name: "elections"},
		),
		warnings: newWarnings(),
		outages:  newOutages(),
		refusals: newRefusals(time.Now),
		live:     live.Reader{Client: client},
		seed:     maphash.MakeSeed(),
		deleted:  utilcache.NewLRUExpireCache(deletedMax),
		zones:    utilcache.NewLRUExpireCache(zonesMax),
		synced:   make(chan struct{}),
		busy:     map[key]time.Time{},
	}
	c.pods = newPodStores(client, c.podHandler())
	if heartbeatTimeout > 0 {
		c.heartbeats = heartbeat.New(c.client, heartbeatTimeout, c.lookAtNode)
	}
	c.prober = probe.New(c.probed)
	return c, c.addInformers(namespaces)
}

// Run reconciles until ctx is done, and then finishes what it has begun. It must be
// called once.
func (c *Controller) Run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer c.queue.ShutDown()

	informing, stop := context.WithCancel(ctx)
	defer stop()
	c.pods.start(informing, &running)
	if c.heartbeats != nil {
		running.Go(func() { c.heartbeats.Run(informing) })
	}
	running.Go(func() { c.prober.Run(informing) })
	var checkers []cache.DoneChecker
	for _, informer := range c.informers() {
		checkers = append(checkers, informer.HasSyncedChecker())
		running.Go(func() { informer.RunWithContext(informing) })
	}
	if !cache.WaitFor(ctx, "Services, Leases, EndpointSlices and Nodes", checkers...) {
		return
	}
	close(c.synced)
	logger.Info("Started", "workers", workers)

	running.Go(func() { c.findLeftovers(ctx) })
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
	<-ctx.Done()
	logger.Info("Stopping")
}

// Ready returns why the controller does not work yet, nil once it does.
func (c *Controller) Ready() error {
	select {
	case <-c.synced:
		return nil
	default:
		return errors.New("the caches of Services, Leases, EndpointSlices and Nodes are not yet synced")
	}
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
	c.setBusy(k, true)
	defer c.setBusy(k, false)

	logger := klog.FromContext(ctx).WithValues("lease", klog.KRef(k.Namespace, k.Name))
	ctx, cancel := context.WithTimeout(klog.NewContext(ctx, logger), syncTimeout)
	defer cancel()
	again, err := road{c, c, c, c.lag}.reconcile(ctx, k)
	// Even after an error: retries back off, and this election may be due earlier.
	if again = soonest(again, c.slowLook(k)); again > 0 {
		c.queue.AddAfter(k, again)
	}
	switch {
	case err == nil:
		c.queue.Forget(k)
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, errAwaited):
		// Another replica was first, or the cache or Kubernetes' controller is behind.
		logger.V(4).Info("Retrying", "reason", err)
		c.queue.AddRateLimited(k)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// Everything in it goes with the namespace.
		c.queue.Forget(k)
	default:
		logger.Error(err, "Failed to reconcile, will retry", "failures", c.queue.NumRequeues(k)+1)
		c.queue.AddRateLimited(k)
	}
	return true
}

func (c *Controller) setBusy(k key, busy bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if busy {
		c.busy[k] = time.Now()
	} else {
		delete(c.busy, k)
	}
}

// slowLook returns after how long to reconcile an election again whatever happens; 0 if
// no Service asks for the election.
func (c *Controller) slowLook(k key) time.Duration {
	if len(c.services.in(k.Namespace).by(byLease, k.String())) == 0 {
		return 0
	}
	return wait.Jitter(slowLook, 1)
}
