package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// replica is a Controller on its world: its caches are filled by hand, object by object,
// and it takes each request only when it is told to. So any other thing can
// happen before each of its requests, and any outcome can come of them.
type replica struct {
	*Controller
	world *world
	// number tells the replicas apart.
	number int
	caches []simulatedCache
	queue  *simulatedQueue
	// later is when an election is looked at again.
	later map[key]time.Time
	// probes and silent are what the replica believes of pods and nodes.
	probes map[types.UID]probe.State
	silent sets.Set[string]
	// targets are the pods that the replica has asked last.
	targets []probe.Target

	// resume lets the look that goes on do its next request; nil if there is none.
	resume func() (string, bool)
	stop   func()
	yield  func(string) bool
	// outcome is what comes of the next request.
	outcome outcome
	dead    bool
	// began is the version of the world at which the look began.
	began int
	// seen is the observation that the look has decided on, and decision what it decided.
	seen     *observation.Observation
	decision election.Decision
	// wrong is what the last look ended with.
	wrong error
	// pick shuffles the order of what may be written in any.
	pick int
}

func newReplica(w *world, number int) *replica {
	r := &replica{world: w, number: number, later: map[key]time.Time{}, probes: map[types.UID]probe.State{}, silent: sets.New[string]()}
	c, err := New(server{r: r}, noEvents{}, nil, 0, api.DrainTaints())
	if err != nil {
		panic(err)
	}
	if w.profile.updated && number == 2 {
		c.DefaultRouting = api.RoutingEndpointSlice
		c.DefaultProbe, _ = api.ParseProbe(string(api.ProbeReadiness))
	}
	c.refusals.now = func() time.Time { return w.now }
	c.queue.ShutDown()
	r.queue = &simulatedQueue{}
	c.queue = r.queue
	r.Controller = c
	services := newSimulatedCache(w.services, serviceIndexers, c.serviceHandler(), trimService, nil)
	leases := newSimulatedCache(w.leases, leaseIndexers, c.leaseHandler(), trimLease, func(l *coordinationv1.Lease) bool { return l.Labels[api.LabelManagedBy] == api.ManagedBy })
	endpointSlices := newSimulatedCache(w.slices, sliceIndexers, c.sliceHandler(), trimSlice, func(s *discoveryv1.EndpointSlice) bool {
		return s.Labels[discoveryv1.LabelManagedBy] != observation.BuiltIn
	})
	nodes := newSimulatedCache(w.nodes, nil, c.nodeHandler(), trimNode, nil)
	c.services = scoped[*corev1.Service]{"": {synced{}, services, trimService}}
	c.leases = scoped[*coordinationv1.Lease]{"": {synced{}, leases, trimLease}}
	c.slices = scoped[*discoveryv1.EndpointSlice]{"": {synced{}, endpointSlices, trimSlice}}
	c.nodes = store[*corev1.Node]{synced{}, nodes, trimNode}
	r.caches = []simulatedCache{services, leases, endpointSlices, nodes, nil}
	// What is published decides nothing, so that it is never seen.
	ended, end := context.WithCancel(context.Background())
	end()
	r.published.start(ended, &sync.WaitGroup{})
	r.published.shares = func() bool { return false }
	r.published.make = func(string, *watched) (store[*discoveryv1.EndpointSlice], error) {
		return store[*discoveryv1.EndpointSlice]{unsynced{}, nil, trimPublished}, nil
	}
	r.watchPods()
	r.hearAll()
	r.queue.Add(key{Namespace: simulatedNamespace})
	return r
}

// watchPods begins to watch the pods, or does so anew once that has been forgotten.
func (r *replica) watchPods() {
	if _, watched := r.pods.stores[simulatedNamespace]; watched {
		return
	}
	pods := newSimulatedCache(r.world.pods, podIndexers, r.podHandler(), trimPod, nil)
	r.pods.stores[simulatedNamespace] = watchedStore[*corev1.Pod]{store[*corev1.Pod]{synced{}, pods, trimPod}, nil, func() {}}
	r.caches[len(r.caches)-1] = pods
	for _, name := range pods.unheard() {
		pods.hear(name)
	}
}

// hear lets one of the caches hear of one object as it is now, and reports whether there
// is something to hear.
func (r *replica) hear(n int) bool {
	var all []func()
	for _, c := range r.caches {
		for _, name := range c.unheard() {
			all = append(all, func() {
				r.world.tell("replica %d hears of %s %s", r.number, c.kind(), name)
				r.hearOf(c, name)
			})
		}
	}
	if len(all) == 0 {
		return false
	}
	all[n%len(all)]()
	return true
}

// hearOf lets the event handlers wake elections, unless the profile is about what happens
// where they wake none but those of a Service that changes.
func (r *replica) hearOf(c simulatedCache, name string) {
	r.queue.deaf = r.world.profile.deaf && c.kind() != r.world.services.kind
	c.hear(name)
	r.queue.deaf = false
}

func (r *replica) hearAll() (some bool) {
	for _, c := range r.caches {
		for _, name := range c.unheard() {
			r.hearOf(c, name)
			some = true
		}
	}
	return some
}

// keys are those of all elections that the replica has heard of.
func (r *replica) keys() []key {
	keys := sets.New(key{Namespace: simulatedNamespace})
	for _, s := range r.annotatedServices(simulatedNamespace) {
		keys.Insert(observation.LeaseKey(s))
	}
	for name := range r.world.leases.all {
		k := key{Namespace: simulatedNamespace, Name: name}
		if _, known := r.leases.in(simulatedNamespace).get(k); known {
			keys.Insert(k)
		}
	}
	return slices.SortedFunc(maps.Keys(keys), func(a, b key) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *replica) wakeAll() {
	for _, k := range r.keys() {
		r.queue.Add(k)
	}
}

// due are the keys that can be looked at now.
func (r *replica) due() []key {
	due := slices.Clone(r.queue.keys)
	for k, at := range r.later {
		if !at.After(r.world.now) && !slices.Contains(due, k) {
			due = append(due, k)
		}
	}
	slices.SortFunc(due, func(a, b key) int { return cmp.Compare(a.Name, b.Name) })
	return due
}

// begin looks at one of the elections that are due, as far as the first request.
func (r *replica) begin(n int) bool {
	due := r.due()
	if r.resume != nil || len(due) == 0 {
		return false
	}
	r.look(due[n%len(due)], n)
	return true
}

func (r *replica) look(k key, pick int) {
	r.queue.keys = slices.DeleteFunc(r.queue.keys, func(queued key) bool { return queued == k })
	if at, waits := r.later[k]; waits && !at.After(r.world.now) {
		delete(r.later, k)
	}
	r.pick, r.began, r.seen = pick, r.world.version, nil
	r.world.tell("replica %d looks at %s", r.number, cmp.Or(k.Name, "what is left"))
	r.resume, r.stop = iter.Pull(func(yield func(string) bool) {
		r.yield = yield
		again, err := road{r, r, r, r}.reconcile(context.Background(), k)
		r.ended(k, again, err)
	})
	r.proceed(fine)
}

// turn implements pacer. It is always this replica's turn: what is left to another comes to the
// same as being slow.
func (*replica) turn(key, *coordinationv1.Lease, time.Duration) time.Duration { return 0 }

// paced implements pacer.
func (*replica) paced(key) bool { return true }

// spend implements pacer.
func (*replica) spend(key) {}

// crowded implements pacer.
func (r *replica) crowded() bool { return r.pick%3 == 2 }

// ended does what the worker does with the result.
func (r *replica) ended(k key, again time.Duration, err error) {
	if r.dead {
		return
	}
	if r.wrong = err; err != nil {
		r.world.tell("replica %d has yet to finish %s: %v", r.number, cmp.Or(k.Name, "what is left"), err)
		r.queue.Add(k)
	}
	if again = soonest(again, r.slowLook(k)); again >= slowLook {
		// The jitter must be the same in each run.
		again = slowLook + time.Duration(r.lag(k)*float64(slowLook))
	}
	if at, waits := r.later[k]; again > 0 && (!waits || r.world.now.Add(again).Before(at)) {
		r.later[k] = r.world.now.Add(again)
	}
}

// proceed does the request that is next, with that outcome, and goes on to the one after it.
func (r *replica) proceed(o outcome) bool {
	if r.resume == nil {
		return false
	}
	r.outcome = o
	if _, more := r.resume(); !more {
		r.resume, r.stop = nil, nil
	}
	return true
}

func (r *replica) finish() (some bool) {
	for r.proceed(fine) {
		some = true
	}
	return some
}

// lookOnce looks at an election without a break, and tells of it only if something came of it.
func (r *replica) lookOnce(k key) {
	told, version := len(r.world.told), r.world.version
	r.look(k, 0)
	r.finish()
	if r.wrong == nil && r.world.version == version && r.world.failure == "" {
		r.world.told = r.world.told[:told]
	}
}

// die ends the process. What it was about to write is not written.
func (r *replica) die() {
	r.dead = true
	if r.stop != nil {
		r.stop()
		r.resume, r.stop = nil, nil
	}
}

// gather adds to what the Controller gathers the world's time, and what the replica believes.
func (r *replica) gather(ctx context.Context, k key, evidence election.Evidence) (observation.Inputs, error) {
	r.watchPods()
	in, err := r.Controller.gather(ctx, k, evidence)
	in.Now, in.Probes, in.Nodes.Silent = r.world.now, maps.Clone(r.probes), r.silent.Union(r.world.off).Has
	in.Answers = map[types.UID]probe.Answer{}
	for uid, state := range r.probes {
		if claim := r.world.claims[uid]; state == probe.Answering && claim == unreadable {
			in.Answers[uid] = probe.Answer{Claim: claim, Wrong: claim}
		} else if state == probe.Answering {
			in.Answers[uid] = probe.Answer{Claim: claim}
		}
	}
	return in, err
}

// write sends one change after the other, beginning with any.
func (r *replica) write(ctx context.Context, changes []routing.Change) []written {
	results := make([]written, len(changes))
	for i := range changes {
		i = (i + r.pick) % len(changes)
		results[i] = r.send(ctx, changes[i])
	}
	return results
}

func (r *replica) decided(o *observation.Observation, d election.Decision) {
	r.seen, r.decision = o, d
	if r.world.telling {
		r.world.tell("replica %d decides, %s: %s %s, %s in epoch %d", r.number, o.Evidence, d.Action, d.Reason, cmp.Or(string(d.HolderUID), "nobody"), d.Epoch)
	}
	r.Controller.decided(o, d)
}

// held checks that the pods are asked what they would be asked by what is stored of them: the caches
// keep enough.
func (r *replica) held(o *observation.Observation, d election.Decision) {
	r.Controller.held(o, d)
	r.targets = targets(o, d.HolderUID, false)
	for _, target := range r.targets {
		pod := r.world.pods.uid(target.Pod)
		if pod == nil {
			continue
		}
		if want, why := o.Settings().Probe.Of(pod); want != target.Probe || why != "" {
			r.world.fail("replica %d asks %s by %v, and not by %v (%s)", r.number, target.Pod, target.Probe, want, why)
		}
	}
}

// asked reports whether the replica asks the pod, as far as the profile is about that.
func (r *replica) asked(pod types.UID) bool {
	_, about := r.world.profile.annotations[api.AnnotationProbe]
	return !about || slices.ContainsFunc(r.targets, func(t probe.Target) bool { return t.Pod == pod })
}

func (r *replica) lag(key) float64 { return float64(r.number) / 4 }

// outcome is what comes of a request.
type outcome int

const (
	// fine: the API server answers, which may be with a conflict.
	fine outcome = iota
	forbidden
	invalid
	broken
	// lost: the request does not reach the API server.
	lost
	// withoutAnswer: the request is served, but the answer is lost.
	withoutAnswer
	outcomes
)

var errDied = errors.New("the process has died")

// request is one request of a replica. It waits until the replica is told to do it.
func request[R any](r *replica, verb, kind, name, says string, serve func() (R, error)) (result R, err error) {
	if r.dead || !r.yield(verb) {
		r.dead = true
		return result, errDied
	}
	resource := schema.GroupResource{Resource: kind}
	writes := verb != "GET" && verb != "LIST"
	switch o := r.outcome; {
	case o == forbidden && writes, writes && r.world.denied[kind+" "+name]:
		err = apierrors.NewForbidden(resource, name, errors.New("denied by a policy"))
	case o == invalid && writes:
		err = apierrors.NewInvalid(schema.GroupKind{Kind: kind}, name, field.ErrorList{field.Invalid(nil, name, "refused")})
	case o == broken:
		err = apierrors.NewInternalError(errors.New("etcd is slow"))
	case o == lost:
		err = context.DeadlineExceeded
	case o == withoutAnswer:
		_, _ = serve()
		err = fmt.Errorf("the answer is lost: %w", context.DeadlineExceeded)
	default:
		result, err = serve()
	}
	if r.world.telling {
		r.world.tell("replica %d: %s", r.number, strings.Join(slices.DeleteFunc([]string{verb, kind, name, says, "->", answer(err)}, func(s string) bool { return s == "" }), " "))
	}
	return result, err
}

func answer(err error) string {
	if err == nil {
		return "done"
	}
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return err.Error()
}
