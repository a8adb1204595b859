// Package controller keeps elections: it observes Services, pods and Leases,
// lets package election decide and package routing plan, and writes. All I/O
// with the API server is here. Several replicas run it at once without a
// leader: the API server arbitrates between their writes.
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
	// deletedFor is for how long it is remembered that a pod was told to go, until the
	// informer shows it, which takes milliseconds.
	deletedFor = time.Minute
	// deletedMax is of how many; forgetting one costs a request.
	deletedMax = 4096
)

const (
	// workers is how many elections are looked at concurrently. When a node
	// with hundreds of masters dies this many fail over at a time; each waits
	// for the API server nearly all the time.
	workers = 32
	// Keys are retried for ever: dropping one would leave a Service without
	// its failover until something else happens to it.
	retryMin, retryMax = 5 * time.Millisecond, 5 * time.Second
	// syncTimeout bounds one look at an election, retried like any error.
	syncTimeout = 15 * time.Second
	// slowLook is after how long, up to twice that, each election is looked at although
	// nothing has changed. That costs no request where all is well, and ends every wait for
	// an event that will not come.
	slowLook = 5 * time.Minute
	// stuckAfter is when Alive gives up on a sync, which syncTimeout should
	// have ended long before.
	stuckAfter = time.Minute
)

// key names the Lease of an election; with an empty Name, what is left in a
// namespace of elections that are no more.
type key = types.NamespacedName

// Controller is one replica. Its methods may be called from any goroutine; its
// event handlers only put keys into the queue and never block.
type Controller struct {
	client   kubernetes.Interface
	recorder events.EventRecorder
	metrics  *metrics
	queue    workqueue.TypedRateLimitingInterface[key]

	services scoped[*corev1.Service]
	leases   scoped[*coordinationv1.Lease]
	// slices are the controller's own EndpointSlices, and others' that are not
	// Kubernetes'.
	slices scoped[*discoveryv1.EndpointSlice]
	// zones are those of nodes, by name.
	zones *utilcache.LRUExpireCache
	// nodes are the cordoned ones alone.
	nodes store[*corev1.Node]
	// heartbeats is nil if nodes are not listened to.
	heartbeats *heartbeat.Monitor
	prober     *probe.Prober
	pods       *podStores
	warnings   *warnings
	outages    *outages
	// deleted are the UIDs of pods that were told to go.
	deleted *utilcache.LRUExpireCache
	// seed is what this replica's lag behind the others is made of; see lag.
	seed maphash.Seed
	live live.Reader

	synced chan struct{}
	lock   sync.Mutex
	// busy is when the sync of a key began that is going on.
	busy map[key]time.Time
}

// New returns a controller of the Services in namespaces, or in all of them
// when there are none. A node is dead after heartbeatTimeout without a heartbeat,
// or when Kubernetes says so if that is 0. It does nothing before Run.
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

// Run works until ctx is done, and then finishes what it has begun. It is
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
	// A sync that is going on when ctx ends is not cut short: that would
	// leave a switch half done for another replica to find.
	syncing := context.WithoutCancel(ctx)
	for range workers {
		running.Go(func() {
			// What is still queued is another replica's, or for the next start.
			for ctx.Err() == nil && c.next(syncing) {
			}
		})
	}
	<-ctx.Done()
	logger.Info("Stopping")
}

// Ready says why the controller does not work yet; nil once it does.
func (c *Controller) Ready() error {
	select {
	case <-c.synced:
		return nil
	default:
		return errors.New("the caches of Services, Leases, EndpointSlices and Nodes are not yet synced")
	}
}

// Alive says which key a worker is stuck at, nil if there is none.
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
		// Another replica was first, or the cache is behind, or Kubernetes: look again.
		logger.V(4).Info("Looking again", "reason", err)
		c.queue.AddRateLimited(k)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// What is to be cleaned up goes with the namespace.
		c.queue.Forget(k)
	default:
		logger.Error(err, "Sync failed, will be retried", "failures", c.queue.NumRequeues(k)+1)
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

// slowLook returns after how long to look at an election again whatever happens; 0 if no
// Service asks for it.
func (c *Controller) slowLook(k key) time.Duration {
	if len(c.services.in(k.Namespace).by(byLease, k.String())) == 0 {
		return 0
	}
	return wait.Jitter(slowLook, 1)
}
