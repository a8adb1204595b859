// Package nodeprobe finds out within seconds that a node is dead, before its heartbeats are
// missed. It asks the kernel of the node, at the port of the kubelet: a connection, or a refusal
// of one, shows that the node lives. It needs no credentials and sends no data. It knows nothing
// of elections but which nodes they share.
//
// A node is dead in three steps. It has answered, and then nothing came of it for the timeout. In
// every round of that time most of the other nodes have answered, so that the network of this
// process is not to blame. And the API server has no heartbeat of the node from that time. It
// lives again with its next answer, or with a heartbeat.
package nodeprobe

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/probe"
)

// MinTimeout is the shortest timeout. A virtual machine may stand still for a second or two.
const MinTimeout = 3 * time.Second

const (
	// attempts is how often a node is asked in a round that does not answer, and attempt how long
	// each may take. Two lost packets are no silence.
	attempts, attempt = 3, 230 * time.Millisecond
	// spread is over how much of a round the first attempts are spread.
	spread = 150 * time.Millisecond
	// leniency is how much longer an attempt may take and still count. In a process that lacks CPU
	// time it takes longer.
	leniency = 100 * time.Millisecond
	// workers is how many nodes may be asked at a time. The others that do not answer are asked in
	// another round.
	workers = 256
	// maxNodes is how many nodes are asked at most.
	maxNodes = 10_000
	// retryMax is how long the pause grows between two questions to a node that has never answered.
	retryMax = time.Minute
	// readers is of how many silent nodes the API server is asked at a time.
	readers = 64
	// confirmTimeout bounds how long the API server is asked for the heartbeats of silent nodes.
	confirmTimeout = 5 * time.Second
)

// Witness knows the heartbeats of nodes. A heartbeat.Monitor is one.
type Witness interface {
	// Heard returns when the latest heartbeat of the node came; zero if none did.
	Heard(node string) time.Time
	// Read asks the API server for the node's latest heartbeat, which Heard then knows of. It
	// returns an error if the API server could not be reached.
	Read(ctx context.Context, node string) error
}

// Network reaches nodes.
type Network interface {
	// Held returns when the node's side of an open connection gave its latest sign of life; zero if
	// there is none. It reports false if that is too old. The connection stays open then, because the
	// answer may be slower than a new connection may take.
	Held(node string, now time.Time) (at time.Time, is bool)
	// Connect opens a connection and holds it instead of the one before. It returns nil if the node's kernel answers,
	// although it may refuse.
	Connect(ctx context.Context, node string, to netip.AddrPort) error
	// Release closes the node's connection.
	Release(node string)
}

// election is what is known of an election.
type election struct {
	nodes sets.Set[string]
	// master is the node of its master, and since is when it became that.
	master string
	since  time.Time
}

// target is a node that is wanted.
type target struct {
	// keys counts the elections that have candidates on the node.
	keys    int
	address netip.AddrPort
	// pause is how long a node that has never answered is left alone, and next is when it is asked
	// again.
	pause time.Duration
	next  time.Time
}

// Prober asks nodes. Its methods may be called from any goroutine.
type Prober struct {
	// Network is that of this process, unless a test sets another before Run.
	Network Network

	address  func(node string) (address string, port uint16)
	witness  Witness
	changed  func(node string)
	capacity int

	lock      sync.Mutex
	elections map[types.NamespacedName]election
	targets   map[string]*target
	detector  detector
}

// New returns a prober that takes a node for dead after timeout without an answer. The timeout
// must be MinTimeout or more. It finds a node by address, which returns its address in the cluster
// and the port of its kubelet; none if they are not known. It calls changed, which must not block,
// with each node that dies or lives again, or about which elections with a dead node may think
// otherwise now. It asks nothing before Run.
func New(timeout time.Duration, address func(node string) (string, uint16), witness Witness, changed func(node string)) *Prober {
	return &Prober{
		Network: newConnections(), address: address, witness: witness, changed: changed, capacity: min(maxNodes, descriptors()/2),
		elections: map[types.NamespacedName]election{}, targets: map[string]*target{}, detector: detector{timeout: timeout, nodes: map[string]*node{}},
	}
}

// Run asks the nodes until ctx is done. It must be called once only.
func (p *Prober) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.lock.Lock()
			defer p.lock.Unlock()
			for name := range p.targets {
				p.Network.Release(name)
			}
			return
		case <-ticker.C:
			p.round(ctx)
		}
	}
}

// Want sets which nodes have candidates of an election from now on, and which one has its master,
// by the Lease; none if nodes is empty. A node without candidates is not asked, and nothing is known of it.
func (p *Prober) Want(key types.NamespacedName, nodes sets.Set[string], master string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	is := p.elections[key]
	before := is.nodes
	if is.master != master {
		is.master, is.since = master, time.Now()
	}
	is.nodes = nodes
	p.elections[key] = is
	if nodes.Len() == 0 {
		delete(p.elections, key)
	}
	for name := range nodes {
		if before.Has(name) {
			continue
		}
		if p.targets[name] == nil {
			p.targets[name], p.detector.nodes[name] = &target{}, &node{}
		}
		p.targets[name].keys++
	}
	for name := range before {
		if nodes.Has(name) {
			continue
		}
		if p.targets[name].keys--; p.targets[name].keys == 0 {
			delete(p.targets, name)
			delete(p.detector.nodes, name)
			p.Network.Release(name)
		}
	}
}

// Silent reports whether the election, whose master is on the node master by the Lease as it is
// known now, must take the node for dead, while another of its nodes answers.
//
// The master's node counts as dead only if it has answered since it became that. Otherwise two
// processes that reach different nodes would take the master from each other. While it is dead, a
// node that has just stopped answering counts as dead too: no master moves there.
func (p *Prober) Silent(key types.NamespacedName, master, name string) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	n, e := p.detector.nodes[name], p.elections[key]
	if n == nil || !n.silent() {
		return false
	}
	masters := p.detector.nodes[master]
	failing := masters != nil && masters.dead && master == e.master && !masters.alive.Before(e.since)
	if !failing && (name == master || !n.dead) {
		return false
	}
	for other := range e.nodes {
		if p.detector.nodes[other].answers() {
			return true
		}
	}
	return false
}

// Counts is how many nodes are in which state.
type Counts struct{ Answering, Silent, Unanswered int }

// Count counts the nodes that have candidates. Silent are those that are taken for dead, and
// Unanswered those that have never answered, or of which no address is known.
func (p *Prober) Count() (c Counts) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, n := range p.detector.nodes {
		switch {
		case n.dead:
			c.Silent++
		case !n.known:
			c.Unanswered++
		default:
			c.Answering++
		}
	}
	return c
}

// round asks the nodes once, and judges them by their answers.
func (p *Prober) round(ctx context.Context) {
	began := time.Now()
	due, forgotten := p.due(began)
	for _, name := range forgotten {
		p.changed(name)
	}
	replies := p.ask(ctx, due, began)
	if ctx.Err() != nil {
		return
	}
	suspects, dead, news := p.record(began, replies)
	for _, name := range dead {
		if replies[name].answer == answered {
			klog.FromContext(ctx).Info("Dead node answered", "node", name)
		}
	}
	for _, name := range p.judge(ctx, append(dead, p.confirm(ctx, suspects)...), news) {
		p.changed(name)
	}
}

// due returns where to ask the nodes in this round, and which dead nodes are forgotten, because
// their addresses are others, or none that is known.
func (p *Prober) due(now time.Time) (due map[string]netip.AddrPort, forgotten []string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	names := slices.Collect(maps.Keys(p.targets))
	if len(names) > p.capacity {
		slices.Sort(names)
		names = names[:p.capacity]
	}
	due = make(map[string]netip.AddrPort, len(names))
	for _, name := range names {
		t := p.targets[name]
		to, usable := address(p.address(name))
		if t.address != to {
			// Another machine may be there, of which nothing is known.
			if p.detector.nodes[name].dead {
				forgotten = append(forgotten, name)
			}
			p.Network.Release(name)
			t.address, t.pause, t.next = to, 0, time.Time{}
			p.detector.nodes[name] = &node{}
		}
		if usable && !t.next.After(now) {
			due[name] = t.address
		}
	}
	return due, forgotten
}

// address reports whether a node can be asked there. This machine is no node.
func address(ip string, port uint16) (to netip.AddrPort, usable bool) {
	parsed, err := netip.ParseAddr(ip)
	return netip.AddrPortFrom(parsed, port), err == nil && port > 0 && probe.Barred(ip) == ""
}

// ask asks nodes, and returns what came of it when the last one has answered or has missed the
// question.
func (p *Prober) ask(ctx context.Context, due map[string]netip.AddrPort, began time.Time) map[string]reply {
	replies := make(map[string]reply, len(due))
	var rest []string
	for name := range due {
		at, is := p.Network.Held(name, began)
		if replies[name] = (reply{answered, at}); !is {
			rest = append(rest, name)
		}
	}
	queue := make(chan string, len(rest))
	for _, name := range rest {
		queue <- name
	}
	close(queue)
	var lock sync.Mutex
	var asking sync.WaitGroup
	for range min(workers, len(rest)) {
		asking.Go(func() {
			pause(ctx, wait.Jitter(spread, 1)-spread)
			for name := range queue {
				r := p.askOne(ctx, name, due[name], began.Add(interval))
				lock.Lock()
				replies[name] = reply{r.answer, latest(r.at, replies[name].at)}
				lock.Unlock()
			}
		})
	}
	asking.Wait()
	if len(rest) == 0 {
		return replies
	}
	now := time.Now()
	for name := range due {
		// Those that answer are witnesses of this moment, not of the beginning of the round. A late
		// answer is one, too.
		if at, is := p.Network.Held(name, now); is {
			replies[name] = reply{answered, at}
		}
	}
	return replies
}

// askOne asks a node until it answers or has missed all attempts. If they do not fit in before the
// end of the round, it does not ask.
func (p *Prober) askOne(ctx context.Context, name string, to netip.AddrPort, end time.Time) reply {
	if time.Now().Add(attempts * attempt).After(end) {
		return reply{}
	}
	for range attempts {
		began := time.Now()
		asking, stop := context.WithTimeout(ctx, attempt)
		err := p.Network.Connect(asking, name, to)
		stop()
		now := time.Now()
		switch {
		case err == nil:
			return reply{answered, now}
		case ctx.Err() != nil, probe.Ours(err), now.Sub(began) > attempt+leniency:
			return reply{}
		}
		pause(ctx, time.Until(began.Add(attempt)))
	}
	return reply{answer: missed}
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// record draws the conclusions from a round. It returns the nodes that await confirmation, those
// that were dead before, and those that begin or cease to be missing.
func (p *Prober) record(began time.Time, replies map[string]reply) (suspects, dead, news []string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for name, n := range p.detector.nodes {
		if n.dead {
			dead = append(dead, name)
		}
	}
	suspects, news = p.detector.round(began, time.Now(), replies)
	for name, r := range replies {
		switch t := p.targets[name]; {
		case t == nil:
			// It is no longer wanted.
			p.Network.Release(name)
		case p.detector.nodes[name].known:
			t.pause, t.next = 0, time.Time{}
		case r.answer == missed:
			t.pause = min(max(2*t.pause, interval), retryMax)
			t.next = began.Add(t.pause)
		}
	}
	return suspects, dead, news
}

// confirm has the API server asked for the heartbeats of suspects, and returns those of which it
// has answered. The others are suspects again in the next round, and so are all if that took long: a
// node that answers meanwhile lives.
func (p *Prober) confirm(ctx context.Context, suspects []string) (confirmed []string) {
	if len(suspects) == 0 {
		return nil
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	p.lock.Lock()
	unread := slices.DeleteFunc(slices.Clone(suspects), func(name string) bool { n := p.detector.nodes[name]; return n == nil || n.read })
	p.lock.Unlock()
	queue := make(chan int, len(unread))
	for i := range unread {
		queue <- i
	}
	close(queue)
	errs := make([]error, len(unread))
	var reading sync.WaitGroup
	for range min(readers, len(unread)) {
		reading.Go(func() {
			for i := range queue {
				errs[i] = p.witness.Read(ctx, unread[i])
			}
		})
	}
	reading.Wait()
	p.lock.Lock()
	defer p.lock.Unlock()
	// This process has not stood still meanwhile.
	p.detector.ended = time.Now()
	for i, name := range unread {
		if errs[i] != nil {
			klog.FromContext(ctx).V(4).Info("Failed to confirm silence", "node", name, "reason", errs[i])
		} else if n := p.detector.nodes[name]; n != nil {
			n.read = true
		}
	}
	if time.Since(began) > interval {
		return nil
	}
	return slices.DeleteFunc(suspects, func(name string) bool { n := p.detector.nodes[name]; return n == nil || !n.read })
}

// judge judges confirmed suspects and dead nodes by their heartbeats. It returns the nodes to tell
// of: those that have died or live again, and, while a node is dead, news.
func (p *Prober) judge(ctx context.Context, names, news []string) (tell []string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, name := range names {
		if !p.detector.judge(name, p.witness.Heard(name)) {
			continue
		}
		says := "Node stopped answering"
		if !p.detector.nodes[name].dead {
			says = "Silent node sent heartbeat"
		}
		klog.FromContext(ctx).Info(says, "node", name, "silentFor", time.Since(p.detector.nodes[name].alive).Round(interval/10))
		tell = append(tell, name)
	}
	if len(names) > 0 {
		// A node that was dead and answers is among the news.
		tell = append(tell, news...)
	}
	return tell
}
