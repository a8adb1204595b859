// Package probe asks pods itself whether they serve, which is faster than kubelet's
// readiness: that takes seconds, and tens of seconds if the node is dead. What it
// finds is never written to the API. It knows nothing of the rules of elections, of
// Services or of Kubernetes' clients, and imports none of the project but pkg/api.
package probe

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// workers is how many questions there may be at a time; it bounds the memory and
	// the file descriptors that they take, and keeps those below the 1024 that
	// a process may have where nobody has set a limit. A pod that answers takes
	// a worker for a few milliseconds, and one that does not for its timeout. So only
	// if more than this stop answering within a timeout are questions asked late,
	// which no pod is blamed for.
	workers = 512
	// silentWorkers is how many of the questions may be to pods that are not expected
	// to answer: those do not keep the others from being asked. Theirs may wait.
	silentWorkers = workers / 2
)

// Prober asks the pods of elections. Its methods may be called from any goroutine.
type Prober struct {
	changed func(key types.NamespacedName)
	ask     func(ctx context.Context, address string, probe api.Probe) error

	lock sync.Mutex
	// queue has the pods to ask; nil before Run.
	queue     workqueue.TypedDelayingInterface[*pod]
	elections map[types.NamespacedName]*election
	// silent counts the questions to pods that are not expected to answer.
	silent int
}

// New returns a prober that tells changed, which must not block, of each election
// one of whose pods' State has changed. It does nothing before Run.
func New(changed func(key types.NamespacedName)) *Prober {
	return &Prober{changed: changed, ask: ask, elections: map[types.NamespacedName]*election{}}
}

// Run works until ctx is done, and returns when every question has ended. It is
// called once.
func (p *Prober) Run(ctx context.Context) {
	queue := workqueue.NewTypedDelayingQueue[*pod]()
	p.begin(queue)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for p.work(ctx, queue) {
			}
		})
	}
	<-ctx.Done()
	queue.ShutDown()
	running.Wait()
}

// State is what is known of a pod.
func (p *Prober) State(key types.NamespacedName, pod types.UID) State {
	p.lock.Lock()
	defer p.lock.Unlock()
	if found := p.find(key, pod); found != nil {
		return found.in.state(found)
	}
	return Unknown
}

// Err is why a pod's latest failure was one; nil if the pod is fine.
func (p *Prober) Err(key types.NamespacedName, pod types.UID) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	if found := p.find(key, pod); found != nil {
		return found.err
	}
	return nil
}

// Suspected is how many pods are suspected now.
func (p *Prober) Suspected() int {
	p.lock.Lock()
	defer p.lock.Unlock()
	count := 0
	for _, e := range p.elections {
		for _, pod := range e.pods {
			if pod.suspected {
				count++
			}
		}
	}
	return count
}

// Want says which pods of an election to ask from now on; none if targets is empty.
// A pod that was asked before stays what it was, unless its address or its probe is
// another. It does little if they are the same as before, and may call changed.
func (p *Prober) Want(key types.NamespacedName, targets []Target) {
	if p.want(key, targets) {
		p.changed(key)
	}
}

func (p *Prober) want(key types.NamespacedName, targets []Target) (news bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	e, found := p.elections[key]
	switch {
	case !found && len(targets) == 0:
		return false
	case !found:
		e = &election{key: key, pods: map[types.UID]*pod{}}
		p.elections[key] = e
	}
	if e.adopt(targets, time.Now()) {
		for _, pod := range e.pods {
			p.plan(pod)
			news = e.news(pod) || news
		}
	}
	if len(e.pods) == 0 {
		delete(p.elections, key)
	}
	return news
}

func (p *Prober) find(key types.NamespacedName, uid types.UID) *pod {
	e, found := p.elections[key]
	if !found {
		return nil
	}
	return e.pods[uid]
}

func (p *Prober) begin(queue workqueue.TypedDelayingInterface[*pod]) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.queue = queue
	for _, e := range p.elections {
		for _, pod := range e.pods {
			p.plan(pod)
		}
	}
}

// plan queues a pod for when it is due.
func (p *Prober) plan(pod *pod) {
	if p.queue != nil {
		p.queue.AddAfter(pod, time.Until(pod.in.due(pod)))
	}
}

// work asks the next pod, and says whether there may be another.
func (p *Prober) work(ctx context.Context, queue workqueue.TypedDelayingInterface[*pod]) bool {
	pod, shutdown := queue.Get()
	if shutdown || ctx.Err() != nil {
		return false
	}
	defer queue.Done(pod)
	if asked, silent, due := p.take(pod); due {
		asking, cancel := context.WithTimeout(ctx, pod.Probe.Timeout)
		err := p.ask(asking, pod.Address, pod.Probe)
		cancel()
		// What was broken off says nothing.
		if ctx.Err() == nil {
			p.hear(ctx, pod, asked, silent, err)
		}
	}
	return true
}

// take says whether a pod is to be asked now. It may be queued for longer than it
// matters, or for what was due before.
func (p *Prober) take(pod *pod) (now time.Time, silent, due bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	now, silent = time.Now(), pod.silent()
	switch {
	case pod.gone:
		return now, silent, false
	case pod.in.due(pod).After(now):
		p.plan(pod)
		return now, silent, false
	case silent && p.silent == silentWorkers:
		p.queue.AddAfter(pod, wait.Jitter(pod.Probe.Interval, jitter))
		return now, silent, false
	case silent:
		p.silent++
	}
	pod.last, pod.slow = now, wait.Jitter(slowness*pod.Probe.Interval, jitter)
	return now, silent, true
}

// hear takes in what a pod has answered.
func (p *Prober) hear(ctx context.Context, pod *pod, asked time.Time, silent bool, err error) {
	noticed := time.Now()
	p.lock.Lock()
	if silent {
		p.silent--
	}
	was, news := pod.state(), false
	if !pod.gone {
		missed := pod.in.missed()
		if counts(noticed.Sub(asked), pod.Probe.Timeout, err) {
			pod.in.hear(pod, asked, noticed, err)
		}
		news = p.follow(pod, missed)
	}
	state := pod.state()
	p.lock.Unlock()
	switch lease := klog.KRef(pod.in.key.Namespace, pod.in.key.Name); {
	case state != was:
		klog.FromContext(ctx).V(2).Info("A pod's answers say something else of it now", "lease", lease, "pod", pod.Pod, "address", pod.Address, "state", state, "reason", err)
	case err != nil:
		klog.FromContext(ctx).V(4).Info("A pod has not answered well", "lease", lease, "pod", pod.Pod, "address", pod.Address, "reason", err)
	}
	if news {
		p.changed(pod.in.key)
	}
}

// follow plans what follows from an answer of a pod, and says whether there is any
// news to tell; missed is what its election's was before.
func (p *Prober) follow(pod *pod, missed time.Time) (news bool) {
	e := pod.in
	news = e.news(pod)
	if !e.missed().Equal(missed) {
		for _, other := range e.pods {
			p.plan(other)
			news = e.news(other) || news
		}
	}
	p.plan(pod)
	return news
}
