package nodeprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

var web = types.NamespacedName{Namespace: "default", Name: "web"}

// network is that of a process, and the nodes behind it.
type network struct {
	lock sync.Mutex
	// down are the nodes that do not answer, ours those that fail because of this process.
	down, ours sets.Set[string]
	// asked counts the connections that were tried, and to has where.
	asked map[string]int
	to    map[string]netip.AddrPort
	// held are the nodes that have a connection, which each may be held for ever.
	held sets.Set[string]
}

func newNetwork() *network {
	return &network{down: sets.New[string](), ours: sets.New[string](), asked: map[string]int{}, to: map[string]netip.AddrPort{}, held: sets.New[string]()}
}

func (n *network) Held(node string, now time.Time) (time.Time, bool) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if !n.held.Has(node) || n.down.Has(node) {
		return time.Time{}, false
	}
	return now, true
}

func (n *network) Connect(ctx context.Context, node string, to netip.AddrPort) error {
	n.lock.Lock()
	n.asked[node]++
	n.to[node] = to
	down, ours := n.down.Has(node), n.ours.Has(node)
	if !down && !ours {
		n.held.Insert(node)
	}
	n.lock.Unlock()
	switch {
	case ours:
		return syscallError
	case down:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (n *network) Release(node string) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.held.Delete(node)
}

func (n *network) set(down ...string) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.down = sets.New(down...)
}

// connections returns how many were tried to each node, and forgets them.
func (n *network) connections() map[string]int {
	n.lock.Lock()
	defer n.lock.Unlock()
	asked := n.asked
	n.asked = map[string]int{}
	return asked
}

// heartbeats are what the API server knows.
type heartbeats struct {
	lock sync.Mutex
	at   map[string]time.Time
	// read counts the requests, late is how long each takes, and err is their error. most is how many
	// there were at a time. If they hang, the error comes late.
	read, reading, most int
	late                time.Duration
	err                 error
	hangs               bool
}

func (h *heartbeats) Heard(node string) time.Time {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.at[node]
}

func (h *heartbeats) Read(ctx context.Context, _ string) error {
	h.lock.Lock()
	h.read++
	h.reading++
	h.most = max(h.most, h.reading)
	hangs, late, err := h.hangs, h.late, h.err
	h.lock.Unlock()
	defer func() {
		h.lock.Lock()
		defer h.lock.Unlock()
		h.reading--
	}()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	pause(ctx, late)
	return err
}

func (h *heartbeats) beat(node string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.at[node] = time.Now()
}

// probed is a prober in a bubble, and the nodes that it has told of.
type probed struct {
	*testing.T
	*Prober
	net       *network
	beats     *heartbeats
	addresses map[string]string
	told      []string
	// master is the node of the master of web.
	master string
}

// Want makes a node the master's, by what has been seen of the Lease.
func (p *probed) Want(key types.NamespacedName, nodes sets.Set[string], master string) {
	p.Prober.Want(key, nodes, master)
	if key == web {
		p.master = master
	}
}

// prober runs a test with a prober that runs until the test ends.
func prober(t *testing.T, test func(p *probed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &probed{T: t, net: newNetwork(), beats: &heartbeats{at: map[string]time.Time{}}, addresses: map[string]string{}}
		address := func(node string) (string, uint16) {
			p.beats.lock.Lock()
			defer p.beats.lock.Unlock()
			if special, found := p.addresses[node]; found {
				return special, 10250
			}
			return "10.0.0." + string('1'+node[0]-'a'), 10250
		}
		p.Prober = New(5*time.Second, address, p.beats, func(node string) { p.set(func() { p.told = append(p.told, node) }) })
		p.Network = p.net
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Prober.Run(ctx)
		}()
		test(p)
		cancel()
		<-done
		if p.net.held.Len() > 0 {
			t.Errorf("connections are left to %v", p.net.held)
		}
	})
}

// set changes what the prober meets.
func (p *probed) set(change func()) {
	p.net.lock.Lock()
	defer p.net.lock.Unlock()
	p.beats.lock.Lock()
	defer p.beats.lock.Unlock()
	change()
}

// tells returns the nodes that the prober has told of, and reads how often it has asked the API server.
func (p *probed) tells() (told []string) {
	p.set(func() { told = slices.Clone(p.told) })
	return told
}

func (p *probed) reads() (count int) {
	p.set(func() { count = p.beats.read })
	return count
}

func (p *probed) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (p *probed) silent(names ...string) (silent []string) {
	for _, name := range names {
		if p.Silent(web, p.master, name) {
			silent = append(silent, name)
		}
	}
	return silent
}

func (p *probed) want(silent ...string) {
	p.Helper()
	if diff := cmp.Diff(silent, p.silent("a", "b", "c")); diff != "" {
		p.Errorf("silent nodes (-want +got):\n%s", diff)
	}
}

func TestNodeThatDies(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, p.net.connections()); diff != "" {
			t.Errorf("connections while all is well (-want +got):\n%s", diff)
		}
		p.net.set("a")
		p.pass(3900 * time.Millisecond)
		p.want()
		if p.reads() > 0 || len(p.tells()) > 0 {
			t.Errorf("%d requests before the timeout; told of %v", p.reads(), p.tells())
		}
		p.pass(2100 * time.Millisecond)
		p.want("a")
		p.pass(time.Minute)
		p.want("a")
		if diff := cmp.Diff([]string{"a"}, p.tells()); diff != "" || p.reads() != 1 {
			t.Errorf("%d requests for one dead node; told (-want +got):\n%s", p.reads(), diff)
		}
		if diff := cmp.Diff(Counts{Answering: 2, Silent: 1}, p.Count()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		p.net.set()
		p.pass(2 * time.Second)
		p.want()
		if diff := cmp.Diff([]string{"a", "a"}, p.tells()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestNodeThatIsNotSuspected(t *testing.T) {
	for name, test := range map[string]func(p *probed){
		"it stands still for 3 s": func(p *probed) {
			p.net.set("a")
			p.pass(3 * time.Second)
			p.net.set()
		},
		"all nodes are silent":             func(p *probed) { p.net.set("a", "b", "c") },
		"the other nodes are silent":       func(p *probed) { p.net.set("b", "c") },
		"it sends heartbeats":              func(p *probed) { p.net.set("a"); p.pass(3 * time.Second); p.beats.beat("a") },
		"the API server does not answer":   func(p *probed) { p.set(func() { p.beats.err = errors.New("no route") }); p.net.set("a") },
		"it can be asked no longer by us":  func(p *probed) { p.set(func() { p.net.held, p.net.ours = sets.New[string](), sets.New("a") }) },
		"its address is no longer known":   func(p *probed) { p.set(func() { p.addresses["a"] = "" }); p.net.set("a") },
		"its address is that of another":   func(p *probed) { p.set(func() { p.addresses["a"] = "10.0.1.1" }); p.net.set("a") },
		"none of the others was ever seen": func(p *probed) { p.Want(web, sets.New("a"), "a"); p.net.set("a") },
	} {
		t.Run(name, func(t *testing.T) {
			prober(t, func(p *probed) {
				p.Want(web, sets.New("a", "b", "c"), "a")
				p.pass(10 * time.Second)
				test(p)
				p.pass(time.Minute)
				p.want()
				if len(p.tells()) > 0 {
					t.Errorf("told of %v", p.tells())
				}
			})
		})
	}
}

// A heartbeat that comes after the suspicion ends it, until the node has answered again.
func TestHeartbeatContradicts(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.net.set("a")
		p.pass(7 * time.Second)
		p.want("a")
		p.beats.beat("a")
		p.pass(2 * time.Second)
		p.want()
		p.pass(time.Minute)
		p.want()
		p.net.set()
		p.pass(2 * time.Second)
		p.net.set("a")
		p.pass(7 * time.Second)
		p.want("a")
	})
}

// The API server is asked again until it answers.
func TestConfirmation(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.set(func() { p.beats.err = errors.New("no route") })
		p.net.set("a")
		p.pass(10 * time.Second)
		p.want()
		p.set(func() { p.beats.err = nil })
		p.pass(2 * time.Second)
		p.want("a")
	})
}

// An API server that dies together with the node delays the conclusion by what its requests take.
func TestConfirmationThatHangs(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.set(func() { p.beats.hangs = true })
		p.net.set("a")
		p.pass(8 * time.Second)
		p.want()
		p.set(func() { p.beats.hangs = false })
		p.pass(confirmTimeout)
		p.want("a")
	})
}

// A node that answers again before the API server does lives. If the process' own network was away,
// and its own node was the only other one, nothing else shows that.
func TestConfirmationThatIsLate(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b"), "a")
		p.pass(10 * time.Second)
		p.set(func() { p.beats.late = 3 * time.Second })
		p.net.set("a")
		p.pass(7 * time.Second)
		if p.reads() == 0 {
			t.Fatal("the API server is not asked")
		}
		p.net.set()
		p.pass(time.Minute)
		if told := p.tells(); len(told) > 0 {
			t.Errorf("told of %v", told)
		}
		// It is not asked twice for that.
		p.set(func() { p.beats.read = 0 })
		p.net.set("a")
		p.pass(11 * time.Second)
		p.want("a")
		if p.reads() != 1 {
			t.Errorf("%d requests for one dead node", p.reads())
		}
	})
}

// Where many nodes die at once, the API server is not asked for all of them at once.
func TestConfirmationOfManyNodes(t *testing.T) {
	prober(t, func(p *probed) {
		names, dead := sets.New[string](), []string{}
		for i := range 400 {
			name := fmt.Sprintf("n%03d", i)
			p.set(func() { p.addresses[name] = "10.0.1.1" })
			if names.Insert(name); i < 100 {
				dead = append(dead, name)
			}
		}
		p.set(func() { p.beats.late = 100 * time.Millisecond })
		p.Want(web, names, "n399")
		p.pass(10 * time.Second)
		p.net.set(dead...)
		p.pass(12 * time.Second)
		if told := p.tells(); len(told) != 100 || p.beats.most > readers {
			t.Errorf("told of %d nodes, after %d requests at a time", len(told), p.beats.most)
		}
	})
}

// A master does not move to a node that has stopped answering a moment later.
func TestStandbysNode(t *testing.T) {
	prober(t, func(p *probed) {
		other := types.NamespacedName{Namespace: "default", Name: "other"}
		p.Want(other, sets.New("d", "e", "f"), "d")
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.net.set("a")
		p.pass(3 * time.Second)
		p.net.set("a", "b")
		p.pass(3 * time.Second)
		p.want("a", "b")
		// No node of the election answers, while most of all do.
		p.net.set("a", "b", "c")
		p.pass(2 * time.Second)
		p.want()
		p.net.set("a", "b")
		p.set(func() { p.told = nil })
		p.pass(2 * time.Second)
		p.want("a", "b")
		if !slices.Contains(p.tells(), "c") {
			t.Errorf("told of %v, although c answers again", p.tells())
		}
		// The master has moved, and c has missed one question. That does not make it move again.
		p.Want(web, sets.New("a", "b", "c"), "c")
		p.net.set("a", "c")
		p.pass(2 * time.Second)
		p.want("a")
	})
}

// A process that does not reach the master's new node does not take the master back: another process
// has moved it there.
func TestNodeThatBecomesTheMasters(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.net.set("b")
		p.pass(7 * time.Second)
		p.want("b")
		// The move has been seen, and has yet to be wanted.
		p.master = "b"
		p.want()
		p.Want(web, sets.New("a", "b", "c"), "b")
		p.want()
		p.pass(time.Minute)
		p.want()
		p.net.set()
		p.pass(2 * time.Second)
		p.net.set("b")
		p.pass(7 * time.Second)
		p.want("b")
		// What is known of a master is kept while it is that.
		p.Want(web, sets.New("a", "b", "c"), "b")
		p.want("b")
	})
}

func TestNodesThatAreAsked(t *testing.T) {
	prober(t, func(p *probed) {
		p.set(func() {
			p.addresses = map[string]string{"a": "127.0.0.1", "b": "169.254.169.254", "c": "224.0.0.1", "d": "::1", "e": "", "g": "localhost"}
		})
		p.Want(web, sets.New("a", "b", "c", "d", "e", "f", "g"), "a")
		p.pass(10 * time.Second)
		if diff := cmp.Diff(map[string]int{"f": 1}, p.net.connections()); diff != "" {
			t.Errorf("connections (-want +got):\n%s", diff)
		}
		if to := p.net.to["f"].String(); to != "10.0.0.6:10250" {
			t.Errorf("f is asked at %s", to)
		}
		if diff := cmp.Diff(Counts{Answering: 1, Unanswered: 6}, p.Count()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		// No election is interested any longer.
		p.Want(web, nil, "")
		p.net.connections()
		p.pass(10 * time.Second)
		if asked := p.net.connections(); len(asked) > 0 || p.net.held.Len() > 0 || len(p.targets)+len(p.elections)+len(p.detector.nodes) > 0 {
			t.Errorf("%v are asked without an election, %v are held, %d nodes are remembered", asked, p.net.held, len(p.targets))
		}
	})
}

// A node that gets another address is asked there.
func TestAnotherAddress(t *testing.T) {
	prober(t, func(p *probed) {
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		p.net.connections()
		p.set(func() { p.addresses["a"] = "10.0.1.1" })
		p.pass(2 * time.Second)
		if asked, to := p.net.connections(), p.net.to["a"].String(); asked["a"] != 1 || to != "10.0.1.1:10250" {
			t.Errorf("asked %v, a at %s", asked, to)
		}
	})
}

// What is known of a dead node does not outlive its address, and elections are told of that.
func TestAddressOfADeadNode(t *testing.T) {
	for name, address := range map[string]string{"it has another": "10.0.1.1", "none is known": ""} {
		t.Run(name, func(t *testing.T) {
			prober(t, func(p *probed) {
				p.Want(web, sets.New("a", "b", "c"), "a")
				p.pass(10 * time.Second)
				p.net.set("a")
				p.pass(7 * time.Second)
				p.want("a")
				p.set(func() { p.addresses["a"], p.told = address, nil })
				p.pass(2 * time.Second)
				p.want()
				if diff := cmp.Diff([]string{"a"}, p.tells()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A node that never answers is asked ever more seldom.
func TestNodeThatNeverAnswers(t *testing.T) {
	prober(t, func(p *probed) {
		p.net.set("a")
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Minute)
		if asked := p.net.connections()["a"]; asked > 48 {
			t.Errorf("a was asked %d times in ten minutes", asked)
		}
		p.want()
		if diff := cmp.Diff(Counts{Answering: 2, Unanswered: 1}, p.Count()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		p.net.set()
		p.pass(2 * time.Minute)
		if diff := cmp.Diff(Counts{Answering: 3}, p.Count()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// A bounded number of nodes is asked.
func TestCapacity(t *testing.T) {
	prober(t, func(p *probed) {
		p.lock.Lock()
		p.capacity = 2
		p.lock.Unlock()
		p.Want(web, sets.New("a", "b", "c"), "a")
		p.pass(10 * time.Second)
		if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, p.net.connections()); diff != "" {
			t.Errorf("connections (-want +got):\n%s", diff)
		}
	})
}
