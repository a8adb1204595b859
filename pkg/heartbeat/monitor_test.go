package heartbeat

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

var web = types.NamespacedName{Namespace: "default", Name: "web"}

// monitored is a monitor in a bubble, and the nodes that it has told of.
type monitored struct {
	*testing.T
	*Monitor
	client *fake.Clientset
	told   []string
}

// monitor runs a test with a monitor that runs until the test ends.
func monitor(t *testing.T, test func(m *monitored)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &monitored{T: t, client: fake.NewClientset()}
		m.Monitor = New(m.client, 25*time.Second, func(node string) { m.told = append(m.told, node) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Monitor.Run(ctx)
		}()
		synctest.Wait()
		test(m)
		cancel()
		<-done
	})
}

// lease returns a node's Lease, renewed now.
func lease(node string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: node},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NowMicro())},
	}
}

// renew renews the nodes' Leases that many times, and lets 10 s pass after each.
func (m *monitored) renew(times int, nodes ...string) {
	m.Helper()
	leases := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for range times {
		for _, node := range nodes {
			_, err := leases.Update(m.Context(), lease(node), metav1.UpdateOptions{})
			if err != nil {
				_, err = leases.Create(m.Context(), lease(node), metav1.CreateOptions{})
			}
			if err != nil {
				m.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
	}
}

func TestMonitor(t *testing.T) {
	monitor(t, func(m *monitored) {
		m.Want(web, sets.New("a", "b", "c"))
		m.renew(6, "a", "b", "c")
		if len(m.told) > 0 {
			t.Errorf("told of %v while all nodes renew", m.told)
		}
		m.renew(3, "b", "c")
		if diff := cmp.Diff([]string{"a"}, m.told); diff != "" || !m.Dead("a") || m.Dead("b") {
			t.Errorf("a is dead %t, b %t; told (-want +got): %s", m.Dead("a"), m.Dead("b"), diff)
		}
		m.renew(1, "a", "b", "c")
		if diff := cmp.Diff([]string{"a", "a"}, m.told); diff != "" || m.Dead("a") {
			t.Errorf("a is dead %t, although it renewed; told (-want +got): %s", m.Dead("a"), diff)
		}
		if m.Dead("nowhere") {
			t.Error("a node that is not wanted is dead")
		}
	})
}

// A node that the watch alone takes for silent is not dead.
func TestMonitorConfirms(t *testing.T) {
	for name, test := range map[string]struct {
		lease *coordinationv1.Lease
		err   error
	}{
		"the Lease was renewed":      {lease: lease("a")},
		"the Lease must not be read": {err: apierrors.NewForbidden(coordinationv1.Resource("leases"), "a", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			monitor(t, func(m *monitored) {
				m.Want(web, sets.New("a", "b", "c"))
				m.renew(2, "a", "b", "c")
				m.client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, test.lease, test.err
				})
				m.renew(4, "b", "c")
				if m.Dead("a") || len(m.told) > 0 {
					t.Errorf("a is dead %t; told of %v", m.Dead("a"), m.told)
				}
			})
		})
	}
}

// A Lease that is deleted is no longer renewed, before its node is dead as well as after it.
// A node of the same name lives again with its own Lease.
func TestMonitorOfALeaseThatIsDeleted(t *testing.T) {
	for name, silent := range map[string]int{"of a node that lives": 0, "of a node that is dead": 3} {
		t.Run(name, func(t *testing.T) {
			monitor(t, func(m *monitored) {
				m.Want(web, sets.New("a", "b", "c"))
				m.renew(2, "a", "b", "c")
				m.renew(silent, "b", "c")
				if err := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				m.renew(6, "b", "c")
				if diff := cmp.Diff([]string{"a"}, m.told); diff != "" || !m.Dead("a") {
					t.Errorf("a is dead %t; told (-want +got): %s", m.Dead("a"), diff)
				}
				m.renew(1, "a", "b", "c")
				if m.Dead("a") {
					t.Error("a is dead, although it renewed")
				}
			})
		})
	}
}

// A kubelet makes its Lease anew.
func TestMonitorOfALeaseThatComesBack(t *testing.T) {
	monitor(t, func(m *monitored) {
		m.Want(web, sets.New("a", "b", "c"))
		m.renew(2, "a", "b", "c")
		if err := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		m.renew(6, "a", "b", "c")
		if len(m.told) > 0 {
			t.Errorf("told of %v", m.told)
		}
	})
}

// A node is watched while it matters to any key.
func TestMonitorWatchesWhatIsWanted(t *testing.T) {
	monitor(t, func(m *monitored) {
		db := types.NamespacedName{Namespace: "default", Name: "db"}
		m.Want(web, sets.New("a", "b"))
		m.Want(db, sets.New("b"))
		m.Want(db, sets.New("b"))
		synctest.Wait()
		var watched []string
		for _, action := range m.client.Actions() {
			if watch, ok := action.(clienttesting.WatchActionImpl); ok {
				watched = append(watched, watch.GetNamespace()+" "+watch.ListOptions.FieldSelector)
			}
		}
		slices.Sort(watched)
		if diff := cmp.Diff([]string{"kube-node-lease metadata.name=a", "kube-node-lease metadata.name=b"}, watched); diff != "" {
			t.Errorf("watches (-want +got): %s", diff)
		}
		m.Want(web, nil)
		if got := slices.Sorted(maps.Keys(m.nodes)); !slices.Equal(got, []string{"b"}) {
			t.Errorf("watching %v, want b alone", got)
		}
		m.Want(db, nil)
		if got := slices.Sorted(maps.Keys(m.nodes)); len(got) > 0 || len(m.wanted) > 0 {
			t.Errorf("watching %v, want none", got)
		}
	})
}

// More nodes than a few share one watch. What was heard of them before stays, and the watch
// tells of those that are wanted later too.
func TestMonitorWatchesManyNodesAtOnce(t *testing.T) {
	monitor(t, func(m *monitored) {
		watches := func() (selectors []string) {
			for _, action := range m.client.Actions() {
				if watch, ok := action.(clienttesting.WatchActionImpl); ok {
					selectors = append(selectors, watch.ListOptions.FieldSelector)
				}
			}
			m.client.ClearActions()
			return selectors
		}
		var nodes []string
		for i := range separate {
			nodes = append(nodes, strconv.Itoa(i))
		}
		m.Want(web, sets.New(nodes...))
		m.renew(2, append(nodes, "more", "later")...)
		if got := watches(); len(got) != separate {
			t.Errorf("%d nodes have the watches %q", separate, got)
		}
		m.Want(web, sets.New(append(nodes, "more")...))
		m.renew(2, append(nodes, "more", "later")...)
		if got := watches(); !slices.Equal(got, []string{""}) || len(m.stops) > 0 {
			t.Errorf("one more has the watches %q, want one of all; %d watches of single nodes are left", got, len(m.stops))
		}
		m.Want(web, sets.New(append(nodes, "more", "later")...))
		// It is silent from now on, as one that was wanted before.
		m.renew(3, nodes[1:]...)
		if diff := cmp.Diff([]string{"0", "later", "more"}, slices.Sorted(slices.Values(m.told))); diff != "" {
			t.Errorf("told of dead nodes (-want +got): %s", diff)
		}
		m.Want(web, nil)
		if got := watches(); len(got) > 0 || len(m.nodes) > 0 {
			t.Errorf("there are new watches %q, and %d nodes are watched, want none", got, len(m.nodes))
		}
	})
}

// What Want costs must not grow with the other keys.
func TestWantOfManyKeys(t *testing.T) {
	m := New(nil, MinTimeout, func(string) {})
	name := func(i int) types.NamespacedName {
		return types.NamespacedName{Namespace: "default", Name: strconv.Itoa(i)}
	}
	const many = 20_000
	// The nodes are watched already.
	m.ctx = t.Context()
	for i := range 1000 {
		m.nodes[strconv.Itoa(i)], m.stops[strconv.Itoa(i)] = &node{}, func() {}
	}
	m.nodes["shared"], m.stops["shared"] = &node{}, func() {}
	began := time.Now()
	for i := range many {
		m.Want(name(i), sets.New(strconv.Itoa(i%1000), "shared"))
	}
	for i := range many {
		m.Want(name(i), sets.New("shared"))
	}
	if m.keys["shared"] != many || len(m.keys) != 1 {
		t.Errorf("%d nodes matter, one of them to %d keys", len(m.keys), m.keys["shared"])
	}
	for i := range many {
		m.Want(name(i), nil)
	}
	if len(m.keys) > 0 || len(m.wanted) > 0 || len(m.nodes) > 0 || len(m.stops) > 0 {
		t.Errorf("%d nodes and %d keys are remembered, and %d nodes are watched", len(m.keys), len(m.wanted), len(m.nodes))
	}
	// Looking at all keys each time takes minutes.
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// What a read shows counts as heard. That there is nothing to read, or no right to, is no error.
func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		lease *coordinationv1.Lease
		err   error
		want  error
		heard bool
	}{
		"a renewal that the watch has not shown": {lease: lease("a"), heard: true},
		"the Lease is gone":                      {err: apierrors.NewNotFound(coordinationv1.Resource("leases"), "a")},
		"the Lease must not be read":             {err: apierrors.NewForbidden(coordinationv1.Resource("leases"), "a", nil)},
		"the API server does not answer":         {err: context.DeadlineExceeded, want: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			monitor(t, func(m *monitored) {
				if !m.Heard("a").IsZero() {
					t.Errorf("a was heard at %s, although it is not wanted", m.Heard("a"))
				}
				m.Want(web, sets.New("a", "b", "c"))
				m.renew(2, "a", "b", "c")
				m.renew(1, "b", "c")
				before := m.Heard("a")
				m.client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, test.lease, test.err
				})
				if err := m.Read(t.Context(), "a"); !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if heard := m.Heard("a").After(before); heard != test.heard {
					t.Errorf("a was heard at %s, and at %s before", m.Heard("a"), before)
				}
			})
		})
	}
}
