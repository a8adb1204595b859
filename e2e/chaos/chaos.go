// Package chaos lets three replicas of the controller run on a local control plane while
// everything that can go wrong does: replicas are killed and frozen, the control plane
// hangs, pods fail, nodes go, users edit, forge and replace. A judge sees every version of
// every object. At the end of each round the faults end, and everything must converge.
//
// What happens is chosen by a seed. When it happens to the cluster is not, so that a run
// is not repeated exactly.
package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// Options say what a run does.
type Options struct {
	// Time is how long actors act. The end of the last round comes later.
	Time time.Duration
	Seed uint64
	// Without are names of actors that do nothing.
	Without []string
	// Artifacts is the directory in which a run saves the whole history and the logs.
	Artifacts string
	// Out receives the report.
	Out io.Writer
}

const (
	replicas = 3
	nodes    = 5
	// round is how long actors act before everything must converge.
	round = time.Minute
	// converging is how long that may take: what was refused is tried again within two minutes.
	converging = 3 * time.Minute
	// pause is how long the run waits between two actions, on average.
	pause = 200 * time.Millisecond
	// focus is how many actions, on average, most of which concern one application. What is
	// subtle needs several things to happen to one at once.
	focus = 30
	// patience is how long an actor waits for an answer of the API server.
	patience = 2 * time.Second
	// hold is how long the judge waits for watches that are late.
	hold = 3 * time.Second
	// calm is how long nothing must change at the end of a round, and while a replica is
	// alone that was started anew. A failback follows a move after ten seconds.
	calm = 11 * time.Second
)

type chaos struct {
	Options
	plane        *local.Plane
	installation *install.Installation
	client       kubernetes.Interface
	random       *rand.Rand
	nodes        []corev1.Node
	replicas     []*replica

	// What the loop alone uses.
	reversals []reversal
	started   chan func() error
	starting  int
	frozen    map[string]bool
	denying   bool
	edits     int
	stopping  map[string]time.Time // pods that terminate, by UID
	counts    map[string]int
	converged []time.Duration

	lock     sync.Mutex
	sequence sequence
	judge    *judge
	told     int // how many violations were printed
}

// reversal is something that ends later.
type reversal struct {
	at time.Time
	do func(context.Context) error
}

// Check returns an error if there is no such actor as one that is left out.
func (o Options) Check() error {
	for _, name := range o.Without {
		if !slices.ContainsFunc(actors, func(a actor) bool { return a.name == name }) {
			var names []string
			for _, a := range actors {
				names = append(names, a.name)
			}
			return fmt.Errorf("there is no actor %q; allowed: %v", name, names)
		}
	}
	return nil
}

// Run runs it, and returns true if nothing was violated. It must run inside the e2e module.
func Run(ctx context.Context, o Options) (ok bool, err error) {
	if err := o.Check(); err != nil {
		return false, err
	}
	fmt.Fprintf(o.Out, "Seed %d, for %s\n", o.Seed, o.Time)
	plane, err := local.Start(ctx, local.Options{Nodes: nodes})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	c := &chaos{
		Options: o, plane: plane, random: rand.New(rand.NewPCG(o.Seed, 0)), judge: newJudge(),
		started: make(chan func() error, replicas), frozen: map[string]bool{}, stopping: map[string]time.Time{}, counts: map[string]int{},
	}
	config := rest.CopyConfig(plane.Admin.Config)
	config.Timeout = patience
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return false, err
	}
	if c.installation, err = install.On(ctx, plane); err != nil {
		return false, err
	}
	list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, n := range list.Items {
		c.nodes = append(c.nodes, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}, Spec: n.Spec, Status: corev1.NodeStatus{
			Capacity: n.Status.Capacity, Allocatable: n.Status.Allocatable, Addresses: n.Status.Addresses,
		}})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := c.watch(ctx, cancel); err != nil {
		return false, err
	}
	failed := c.rounds(ctx)
	c.report(o.Out)
	c.lock.Lock()
	ok = len(c.judge.violations) == 0
	c.lock.Unlock()
	return ok, errors.Join(cmp.Or(context.Cause(ctx), failed), c.save())
}

func (c *chaos) say(format string, args ...any) { fmt.Fprintf(c.Out, format+"\n", args...) }

// rounds lets actors act and everything converge, in turns, until the time is over.
func (c *chaos) rounds(ctx context.Context) error {
	if err := create(ctx, c.client, c.mark); err != nil {
		return err
	}
	for n := range replicas {
		r := &replica{name: fmt.Sprintf("replica-%d", n+1)}
		c.replicas = append(c.replicas, r)
	}
	for _, r := range c.replicas {
		c.occupy(r, true)
		c.start(ctx, r)
	}
	c.later(0, c.stopPods)
	if err := c.converge(ctx); err != nil {
		return err
	}
	c.converged = nil // it had all to create
	for left := c.Time; left > 0; left -= round {
		c.say("%s: everything goes wrong; %s are left", time.Now().Format(time.TimeOnly), left)
		if err := c.act(ctx, min(left, round)); err != nil {
			return err
		}
		if err := c.converge(ctx); err != nil {
			return err
		}
	}
	return nil
}

// act lets actors act for a time.
func (c *chaos) act(ctx context.Context, lasting time.Duration) error {
	weights := 0
	for _, a := range actors {
		weights += a.weight
	}
	until := time.Now().Add(lasting)
	focused := 0
	for next := time.Now(); next.Before(until); {
		if err := c.wait(ctx, next); err != nil {
			return err
		}
		n, a, b := c.random.IntN(weights), c.random.IntN(1<<20), c.random.IntN(1<<20)
		pauses := time.Duration(c.random.ExpFloat64() * float64(pause))
		if c.random.IntN(focus) == 0 {
			focused = a
		}
		if c.random.IntN(3) > 0 {
			a += focused%len(apps) - a%len(apps) // the same application
		}
		for _, actor := range actors {
			if n -= actor.weight; n < 0 {
				c.perform(ctx, actor, a, b)
				break
			}
		}
		// From now: an action that had to wait must not hold up the end of what it waited for.
		next = time.Now().Add(pauses)
	}
	return nil
}

func (c *chaos) perform(ctx context.Context, actor actor, a, b int) {
	if slices.Contains(c.Without, actor.name) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := actor.do(c, ctx, a, b)
	switch {
	case errors.Is(err, errNothing), apierrors.IsNotFound(err):
		return
	case err != nil:
		c.tell("", "%s: %v", actor.name, err)
	}
	c.counts[actor.name]++
}

// wait waits until a time. Meanwhile it ends what is to end, and hears of replicas that
// have started.
func (c *chaos) wait(ctx context.Context, until time.Time) error {
	for {
		next := until
		if len(c.reversals) > 0 && c.reversals[0].at.Before(until) {
			next = c.reversals[0].at
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case started := <-c.started:
			timer.Stop()
			if err := started(); err != nil {
				return err
			}
		case <-timer.C:
			if next.Equal(until) {
				return nil
			}
			c.revert(ctx)
		}
	}
}

// later does something in a while.
func (c *chaos) later(in time.Duration, do func(context.Context) error) {
	c.reversals = append(c.reversals, reversal{time.Now().Add(in), do})
	slices.SortStableFunc(c.reversals, func(a, b reversal) int { return a.at.Compare(b.at) })
}

// during is a fault that lasts for a while.
func (c *chaos) during(kind string, lasts time.Duration, end func(context.Context) error) {
	c.fault(kind, true)
	c.later(lasts, func(ctx context.Context) error {
		if err := end(ctx); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
		c.fault(kind, false)
		return nil
	})
}

// revert does the first of what is to be done later, and again if it fails.
func (c *chaos) revert(ctx context.Context) {
	first := c.reversals[0]
	c.reversals = c.reversals[1:]
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := first.do(limited); err != nil {
		c.tell("", "again, because of %v", err)
		c.later(500*time.Millisecond, first.do)
	}
}

// stopPods lets pods that terminate end, each after a time of its own.
func (c *chaos) stopPods(ctx context.Context) error {
	c.later(500*time.Millisecond, c.stopPods)
	list, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // it is tried again anyway
	}
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil || len(p.Finalizers) == 0 {
			continue
		}
		id := string(p.UID)
		began, known := c.stopping[id]
		hash := fnv.New32()
		_, _ = hash.Write([]byte(id))
		switch {
		case !known:
			c.stopping[id] = time.Now()
		case time.Since(began) > time.Duration(hash.Sum32()%8000)*time.Millisecond:
			p.Finalizers = nil
			if _, err := c.client.CoreV1().Pods(namespace).Update(ctx, &p, metav1.UpdateOptions{}); err == nil {
				delete(c.stopping, id)
			}
		}
	}
	return nil
}

// mark marks an object as written by an actor.
func (c *chaos) mark(o metav1.Object) {
	c.edits++
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotationEdit] = strconv.Itoa(c.edits)
	o.SetAnnotations(annotations)
}

// converge ends all faults and waits until everything is as it must be. Then a replica that
// is started anew must write nothing.
func (c *chaos) converge(ctx context.Context) error {
	c.tell("", "all faults end")
	for n := range c.reversals {
		c.reversals[n].at = time.Now()
	}
	began := time.Now()
	// While the control plane is frozen nothing changes, which shows nothing.
	ended := began
	var problems []moment
	for {
		if err := c.wait(ctx, time.Now().Add(200*time.Millisecond)); err != nil {
			return err
		}
		idle := c.starting == 0 && len(c.reversals) == 1 // that of stopPods
		if !idle {
			ended = time.Now()
		}
		problems = c.problems(began)
		if len(problems) == 0 && time.Since(ended) > calm {
			break
		}
		if time.Since(began) > converging {
			c.violate(problems)
			return nil
		}
	}
	took := time.Since(began) - calm
	c.converged = append(c.converged, took)
	c.say("%s: converged within %s", time.Now().Format(time.TimeOnly), max(took, 0).Round(100*time.Millisecond))
	return c.fresh(ctx)
}

// problems are those that last, and that something has changed lately.
func (c *chaos) problems(since time.Time) []moment {
	c.lock.Lock()
	defer c.lock.Unlock()
	j := c.judge
	problems := j.unsettled()
	if j.now.Sub(j.changed) < calm || j.now.Before(since) {
		problems = append(problems, moment{j.now, "", "there are changes, of " + j.lastChange})
	}
	return problems
}

func (c *chaos) violate(problems []moment) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for _, p := range problems {
		c.judge.fail(p.election, "after %s without faults: %s", converging, p.text)
	}
}

// fresh starts a replica while there is no other. It must find nothing to do.
func (c *chaos) fresh(ctx context.Context) error {
	c.tell("", "all replicas are killed, and one is started anew")
	for _, r := range c.replicas {
		c.occupy(r, true)
		r.running.Kill()
	}
	began := time.Now()
	c.start(ctx, c.replicas[0])
	for c.replicas[0].busy {
		if err := c.wait(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return err
		}
	}
	if err := c.wait(ctx, time.Now().Add(calm+hold)); err != nil {
		return err
	}
	c.lock.Lock()
	if j := c.judge; j.written.After(began) {
		j.fail("", "a replica that is started anew finds something to write: %s", j.lastWritten)
	}
	c.lock.Unlock()
	for _, r := range c.replicas[1:] {
		c.start(ctx, r)
	}
	return nil
}

// tell says what an actor does to an election, or to the applications of that name.
func (c *chaos) tell(election, format string, args ...any) {
	text, elections := fmt.Sprintf(format, args...), []string{election}
	for _, app := range apps {
		if app.name == election {
			elections = app.leads
		}
	}
	for _, election := range elections {
		c.feed(input{at: time.Now(), feed: func(j *judge, at time.Time) { j.act(at, election, "* "+text) }})
	}
}

func (c *chaos) fault(kind string, begins bool) {
	c.feed(input{at: time.Now(), feed: func(j *judge, at time.Time) { j.fault(at, kind, begins) }})
}

func (c *chaos) refuse(pods ...string) {
	c.feed(input{at: time.Now(), feed: func(j *judge, at time.Time) { j.refuse(at, pods...) }})
}

func (c *chaos) feed(i input) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sequence.add(i)
}
