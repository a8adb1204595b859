package controller

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// nodeWire is the network between a replica and nodes.
type nodeWire struct {
	lock sync.Mutex
	down sets.Set[string]
	to   map[string]string
}

func (w *nodeWire) Held(string, time.Time) (at time.Time, is bool) { return at, false }

func (w *nodeWire) Connect(ctx context.Context, node string, to netip.AddrPort) error {
	w.lock.Lock()
	w.to[node] = to.String()
	down := w.down.Has(node)
	w.lock.Unlock()
	if down {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (w *nodeWire) Release(string) {}

func (w *nodeWire) set(down ...string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.down = sets.New(down...)
}

// nodesAsked has a controller ask nodes.
func nodesAsked(s *started) { s.ProbeNodes(5 * time.Second) }

// probing runs a controller with three nodes of which it hears no heartbeats. The master's is one.
func probing(c *cluster, prepare func(*started)) (*started, *nodeWire) {
	c.Helper()
	c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.OnNode("one")), fakeapi.NewPod("web-1", fakeapi.OnNode("two")), fakeapi.NewPod("web-2", fakeapi.OnNode("three")))
	for i, name := range []string{"one", "two", "three"} {
		fakeapi.Edit(c.Cluster, c.Users.CoreV1().Nodes(), name, func(n *corev1.Node) {
			n.Status.Addresses = []corev1.NodeAddress{
				{Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeExternalIP, Address: "192.0.2.1"},
				{Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
				{Type: corev1.NodeInternalIP, Address: "10.0.0." + string(rune('1'+i))},
				{Type: corev1.NodeInternalIP, Address: "fd00::1"},
			}
			if name == "two" {
				n.Status.DaemonEndpoints.KubeletEndpoint.Port = 20250
			}
		})
	}
	s, w := c.prepare(), &nodeWire{down: sets.New[string](), to: map[string]string{}}
	prepare(s)
	if s.nodeProbes != nil {
		s.nodeProbes.Network = w
	}
	c.run(s)
	c.Wait(10 * time.Second)
	c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
	s.client.ClearActions()
	return s, w
}

func TestMasterOnANodeThatDoesNotAnswerIsReplaced(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s, w := probing(c, nodesAsked)
		if diff := cmp.Diff(map[string]string{"one": "10.0.0.1:10250", "two": "10.0.0.2:20250", "three": "10.0.0.3:10250"}, w.to); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		w.set("one")
		c.Wait(4 * time.Second)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests before the timeout: %v", requests)
		}
		c.Wait(3 * time.Second)
		c.expectEvents(s, "Normal NodeSilent Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that no longer gives signs of life")
		want := []string{"get leases one", "update leases web", "patch services web", "patch pods web-0", "patch pods web-1", "patch services web"}
		if diff := cmp.Diff(want, s.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		// It does not come back with its node.
		s.client.ClearActions()
		w.set()
		c.Wait(time.Minute)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests when the node is back: %v", requests)
		}
	})
}

func TestMasterOnANodeThatDoesNotAnswerStays(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*started)
		do      func(c *cluster, s *started, w *nodeWire)
	}{
		"nodes are not asked":     {func(*started) {}, func(_ *cluster, _ *started, w *nodeWire) { w.set("one") }},
		"no node answers":         {nodesAsked, func(_ *cluster, _ *started, w *nodeWire) { w.set("one", "two", "three") }},
		"it stands still for 3 s": {nodesAsked, func(c *cluster, _ *started, w *nodeWire) { w.set("one"); c.Wait(3 * time.Second); w.set() }},
		"its heartbeats go on": {nodesAsked, func(c *cluster, _ *started, w *nodeWire) {
			w.set("one")
			c.Wait(3 * time.Second)
			c.Create(nodeLease("one"))
		}},
		"the API server does not answer": {nodesAsked, func(c *cluster, _ *started, w *nodeWire) {
			c.failing("get", "leases", errors.New("no route"))
			w.set("one")
		}},
		"the API server does not answer, and there are no heartbeats": {unheard, func(c *cluster, _ *started, w *nodeWire) {
			c.failing("get", "nodes", errors.New("no route"))
			w.set("one")
		}},
		"nodes must not be read": {nodesAsked, func(_ *cluster, s *started, w *nodeWire) {
			s.nodesWatched.forbidden.Store(true)
			w.set("one")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s, w := probing(c, test.prepare)
				test.do(c, s, w)
				c.Wait(20 * time.Second)
				c.expectEvents(s)
			})
		})
	}
}

// Two replicas that reach different nodes do not take the master from each other again and again.
func TestReplicasThatReachDifferentNodes(t *testing.T) {
	for name, test := range map[string]struct{ first, second []string }{
		"each lacks another node":                       {[]string{"one"}, []string{"two"}},
		"the first reaches all, the second a standby":   {nil, []string{"one", "two"}},
		"one lacks the master's node, the other none":   {[]string{"one"}, nil},
		"both lack the master's node, one another also": {[]string{"one"}, []string{"one", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				first, w1 := probing(c, nodesAsked)
				second, w2 := c.prepare(), &nodeWire{down: sets.New[string](), to: map[string]string{}}
				nodesAsked(second)
				second.nodeProbes.Network = w2
				c.run(second)
				c.Wait(10 * time.Second)
				w1.set(test.first...)
				w2.set(test.second...)
				c.Wait(20 * time.Second)
				early := append(first.events.Take(), second.events.Take()...)
				c.Wait(5 * time.Minute)
				if late := append(first.events.Take(), second.events.Take()...); len(early) > 2 || len(late) > 0 {
					t.Errorf("first\n%s\nthen\n%s", strings.Join(early, "\n"), strings.Join(late, "\n"))
				}
			})
		})
	}
}

// unheard has a controller ask nodes that does not listen to heartbeats.
func unheard(s *started) {
	s.heartbeats = nil
	nodesAsked(s)
}

// Without heartbeats the probes decide alone.
func TestNodesAreAskedWithoutHeartbeats(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*started)
		do      func(*cluster)
	}{
		"they are not listened to": {unheard, func(*cluster) {}},
		"they must not be read": {nodesAsked, func(c *cluster) {
			c.failing("get", "leases", apierrors.NewForbidden(corev1.Resource("leases"), "one", errors.New("no rights")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s, w := probing(c, test.prepare)
				test.do(c)
				w.set("one")
				c.Wait(7 * time.Second)
				c.expectEvents(s, "Normal NodeSilent Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is on a node that no longer gives signs of life")
			})
		})
	}
}

// The first address counts at which a kubelet of another machine may listen.
func TestKubelet(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "169.254.169.254"}, {Type: corev1.NodeInternalIP, Address: "224.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 70_000}},
		}})
		s := c.start()
		c.Settle()
		for _, name := range []string{"bad", "nowhere"} {
			if address, port := s.kubelet(name); address != "" || port != 0 {
				t.Errorf("%s is asked at %s port %d", name, address, port)
			}
		}
	})
}
