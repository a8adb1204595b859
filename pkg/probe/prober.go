// Package probe asks the pods of elections whether they serve. It finds out sooner than
// kubelet's readiness, which takes seconds, and tens of seconds if the node is dead. What
// it finds is never written to the API. It knows nothing of the rules of elections, of
// Services or of Kubernetes' clients. Of the project it imports pkg/api alone.
package probe

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// workers is how many questions may be under way at a time. It bounds their memory
	// and their file descriptors, which must stay below the 1024 that a process may have
	// by default. A pod that answers takes a worker for a few milliseconds, and a pod
	// that does not takes it for its timeout. Questions are late only if more pods than
	// this stop answering within a timeout, and no pod is blamed for a late question.
	workers = 512
	// silentWorkers is how many of the questions may be to pods that are not expected to
	// answer. The rest of the workers ask the other pods in time, however many are
	// silent. Questions to silent pods may wait.
	silentWorkers = workers / 2
	// patientWorkers is how many questions to the other pods may be under way before
	// new ones end at their timeout.
	patientWorkers = workers / 4

	// namespaceWorkers and silentNamespaceWorkers are how many of all questions, and of
	// those to pods that are not expected to answer, may be to pods of one namespace, and
	// namespaceRate is how many of them may begin in a second. So one namespace cannot keep
	// the pods of others from being asked.
	namespaceWorkers       = 64
	silentNamespaceWorkers = namespaceWorkers / 2
	namespaceRate          = 1000
	// delay is how long a pod waits at least if its namespace may ask no more.
	delay = 250 * time.Millisecond
)

// budget is what the pods of one namespace may take of the workers.
type budget struct {
	// groups counts the groups of the namespace.
	groups int
	// asked counts the questions under way, and silent those to pods that are not expected
	// to answer.
	asked, silent int
	rate          *rate.Limiter
}

// spent reports whether no other question may begin now. If not, one is counted in.
func (b *budget) spent(silent bool, now time.Time) bool {
	return b.asked == namespaceWorkers || silent && b.silent == silentNamespaceWorkers || !b.rate.AllowN(now, 1)
}

// Prober asks the pods of elections. Its methods may be called from any goroutine.
// An election's key is that of its Lease.
type Prober struct {
	changed func(key types.NamespacedName)
	ask     func(ctx context.Context, address string, probe api.Probe) (claim string, err error)

	lock sync.Mutex
	// queue has the pods to ask; nil before Run.
	queue  workqueue.TypedDelayingInterface[*pod]
	groups map[types.NamespacedName]*group
	// suspected counts the pods of all groups that are suspected.
	suspected int
	// silent counts the questions under way to pods that are not expected to answer, and
	// busy those to the other pods.
	silent, busy int
	// budgets are by namespace. delayed counts the questions that had to wait for one.
	budgets map[string]*budget
	delayed int
}

// New returns a prober that calls changed, which must not block, with the key of an
// election when the State of one of its pods has changed. It asks nothing before Run.
func New(changed func(key types.NamespacedName)) *Prober {
	return &Prober{changed: changed, ask: ask, groups: map[types.NamespacedName]*group{}, budgets: map[string]*budget{}}
}

// Run asks the pods until ctx is done, and returns when every question has ended. It
// must be called once only.
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

// State returns what is known of a pod, which is Unknown if the pod is not probed.
func (p *Prober) State(key types.NamespacedName, pod types.UID) State {
	p.lock.Lock()
	defer p.lock.Unlock()
	if found := p.find(key, pod); found != nil {
		return found.in.state(found)
	}
	return Unknown
}

// States returns what is known of every pod of an election at one moment. Pods that are
// Unknown are left out. It returns nil if no pod of the election is probed.
func (p *Prober) States(key types.NamespacedName) map[types.UID]State {
	return ofEach(p, key, func(pod *pod) (State, bool) {
		state := pod.in.state(pod)
		return state, state != Unknown
	})
}

// Answers returns what the latest good answers of an election's pods say, by the pod's UID. A pod
// that has not answered lately is left out.
func (p *Prober) Answers(key types.NamespacedName) map[types.UID]Answer {
	now := time.Now()
	return ofEach(p, key, func(pod *pod) (Answer, bool) { return pod.answer(now) })
}

// ofEach returns what of returns of every pod of an election at one moment, without those for which
// it reports false; nil if no pod of the election is probed.
func ofEach[T any](p *Prober, key types.NamespacedName, of func(*pod) (T, bool)) map[types.UID]T {
	p.lock.Lock()
	defer p.lock.Unlock()
	g, found := p.groups[key]
	if !found {
		return nil
	}
	all := make(map[types.UID]T, len(g.pods))
	for uid, pod := range g.pods {
		if one, is := of(pod); is {
			all[uid] = one
		}
	}
	return all
}

// Err returns why the pod failed last. It returns nil if the pod is fine or is not
// probed.
func (p *Prober) Err(key types.NamespacedName, pod types.UID) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	if found := p.find(key, pod); found != nil {
		return found.err
	}
	return nil
}

// Suspected returns how many pods of all elections are suspected.
func (p *Prober) Suspected() int {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.suspected
}

// Delayed returns how many questions had to wait, because their namespace asked too many.
func (p *Prober) Delayed() int {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.delayed
}

// Want makes the targets the pods of an election that are probed from now on; none if
// targets is empty. What is known of a pod is kept, unless its address or its probe is
// another, or it becomes the master. Want may call changed. It costs little if the
// targets are the same as before.
func (p *Prober) Want(key types.NamespacedName, targets []Target) {
	if p.want(key, targets) {
		p.changed(key)
	}
}

// want is Want without the call of changed. It reports whether that is due.
func (p *Prober) want(key types.NamespacedName, targets []Target) (news bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	g, found := p.groups[key]
	switch {
	case !found && len(targets) == 0:
		return false
	case !found:
		g = &group{key: key, pods: map[types.UID]*pod{}, budget: p.budgets[key.Namespace]}
		if g.budget == nil {
			g.budget = &budget{rate: rate.NewLimiter(namespaceRate, namespaceRate)}
			p.budgets[key.Namespace] = g.budget
		}
		g.budget.groups++
		p.groups[key] = g
	}
	p.suspected -= g.suspected()
	changed := g.adopt(targets, time.Now())
	p.suspected += g.suspected()
	if changed {
		for _, pod := range g.pods {
			p.plan(pod)
			news = g.news(pod) || news
		}
	}
	if len(g.pods) == 0 {
		delete(p.groups, key)
		if g.budget.groups--; g.budget.groups == 0 {
			delete(p.budgets, key.Namespace)
		}
	}
	return news
}

// find returns the pod; nil if it is not probed.
func (p *Prober) find(key types.NamespacedName, uid types.UID) *pod {
	g, found := p.groups[key]
	if !found {
		return nil
	}
	return g.pods[uid]
}

// begin queues the pods that were wanted before Run.
func (p *Prober) begin(queue workqueue.TypedDelayingInterface[*pod]) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.queue = queue
	for _, g := range p.groups {
		for _, pod := range g.pods {
			p.plan(pod)
		}
	}
}

// plan queues a pod for when it is due.
func (p *Prober) plan(pod *pod) {
	if p.queue != nil {
		p.queue.AddAfter(pod, time.Until(pod.in.next(pod, time.Now())))
	}
}

// work looks at the next pod and asks it if that is due. It reports whether there may be
// another pod. While a question is open, other workers may ask the same pod.
func (p *Prober) work(ctx context.Context, queue workqueue.TypedDelayingInterface[*pod]) bool {
	pod, shutdown := queue.Get()
	if shutdown {
		return false
	}
	var asking context.Context
	var asked *question
	p.update(ctx, pod, func(now time.Time) { asking, asked = p.take(ctx, pod, now) })
	queue.Done(pod)
	if asked == nil {
		return ctx.Err() == nil
	}
	claim, err := p.ask(asking, pod.Address, pod.Probe)
	answered := err == nil || asking.Err() == nil && !Ours(err)
	asked.stop()
	asked.claim = claim
	p.update(ctx, pod, func(now time.Time) { p.end(ctx, pod, asked, now, answered, err) })
	return ctx.Err() == nil
}

// take looks at a pod, and begins a question to it if one is due. A pod may be in the
// queue although it is gone, or for a time at which it is no longer due.
func (p *Prober) take(ctx context.Context, pod *pod, now time.Time) (context.Context, *question) {
	if pod.gone || ctx.Err() != nil {
		return nil, nil
	}
	pod.in.look(pod, now)
	silent := pod.silent()
	switch {
	case pod.in.due(pod).After(now):
		return nil, nil
	case silent && p.silent == silentWorkers:
		pod.blocked = now.Add(wait.Jitter(pod.Probe.Interval, jitter))
		return nil, nil
	case pod.in.budget.spent(silent, now):
		p.delayed++
		pod.blocked = now.Add(wait.Jitter(max(pod.Probe.Interval, delay), jitter))
		return nil, nil
	}
	asking, stop := context.WithTimeout(ctx, pod.lifetime(p.busy < patientWorkers))
	asked := &question{asked: now, silent: silent, stop: stop}
	p.count(pod.in.budget, silent, 1)
	pod.last, pod.slow = now, wait.Jitter(slowness*pod.Probe.Interval, jitter)
	pod.ask(asked)
	return asking, asked
}

// count counts the questions under way.
func (p *Prober) count(of *budget, silent bool, change int) {
	of.asked += change
	if silent {
		p.silent += change
		of.silent += change
	} else {
		p.busy += change
	}
}

// end records the end of a question. One that was broken off, or failed because of this
// process, shows nothing.
func (p *Prober) end(ctx context.Context, pod *pod, asked *question, now time.Time, answered bool, err error) {
	p.count(pod.in.budget, asked.silent, -1)
	switch {
	case pod.gone, ctx.Err() != nil:
	case answered:
		pod.in.hear(pod, asked, now, err)
	default:
		pod.in.look(pod, now)
		pod.drop(asked)
	}
}

// update changes what is known of a pod. It plans what is due then, logs the
// new state, and calls changed if that is due.
func (p *Prober) update(ctx context.Context, pod *pod, change func(now time.Time)) {
	p.lock.Lock()
	was, fails, missed, claim, news := pod.state(), pod.fails, pod.in.missed(), pod.claim, false
	change(time.Now())
	if !pod.gone {
		news = p.follow(pod, missed, claim)
	}
	state, failed, err := pod.state(), pod.fails > fails, pod.err
	p.recount(was, state)
	p.lock.Unlock()
	switch lease := klog.KRef(pod.in.key.Namespace, pod.in.key.Name); {
	case state != was:
		klog.FromContext(ctx).V(2).Info("Probe state changed", "lease", lease, "pod", pod.Pod, "address", pod.Address, "state", state, "reason", err)
	case failed:
		klog.FromContext(ctx).V(4).Info("Probe failed", "lease", lease, "pod", pod.Pod, "address", pod.Address, "reason", err)
	}
	if news {
		p.changed(pod.in.key)
	}
}

// recount counts the suspected pods after one of them has changed its state.
func (p *Prober) recount(was, is State) {
	if was == Suspected {
		p.suspected--
	}
	if is == Suspected {
		p.suspected++
	}
}

// follow plans what is due after an answer of a pod, and reports whether the state of
// any pod of its group has changed, or the order of their claims. missed is what group.missed was
// before the answer, and claim what the pod claimed.
func (p *Prober) follow(pod *pod, missed time.Time, claim string) (news bool) {
	g := pod.in
	news = g.news(pod) || g.reorders(pod, claim)
	if !g.missed().Equal(missed) {
		for _, other := range g.pods {
			p.plan(other)
			news = g.news(other) || news
		}
	}
	p.plan(pod)
	return news
}
