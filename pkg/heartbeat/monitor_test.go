package heartbeat

import (
	"context"
	"maps"
	"slices"
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

// monitored runs a test with a monitor in a bubble. told is what changed was.
func monitored(t *testing.T, test func(t *testing.T, m *Monitor, client *fake.Clientset, told *[]string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		told := &[]string{}
		m := New(client, 25*time.Second, func(node string) { *told = append(*told, node) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx)
		}()
		synctest.Wait()
		test(t, m, client, told)
		cancel()
		<-done
	})
}

func lease(node string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: node},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NowMicro())},
	}
}

// renew renews the nodes' Leases every 10 s.
func renew(t *testing.T, client *fake.Clientset, times int, nodes ...string) {
	t.Helper()
	leases := client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for range times {
		for _, node := range nodes {
			_, err := leases.Update(t.Context(), lease(node), metav1.UpdateOptions{})
			if err != nil {
				_, err = leases.Create(t.Context(), lease(node), metav1.CreateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
	}
}

func TestMonitor(t *testing.T) {
	monitored(t, func(t *testing.T, m *Monitor, client *fake.Clientset, told *[]string) {
		m.Want(web, sets.New("a", "b", "c"))
		renew(t, client, 6, "a", "b", "c")
		if len(*told) > 0 {
			t.Errorf("told of %v while all nodes renew", *told)
		}
		renew(t, client, 3, "b", "c")
		if diff := cmp.Diff([]string{"a"}, *told); diff != "" || !m.Dead("a") || m.Dead("b") {
			t.Errorf("a is silent %t, b %t; told (-want +got): %s", m.Dead("a"), m.Dead("b"), diff)
		}
		renew(t, client, 1, "a", "b", "c")
		if diff := cmp.Diff([]string{"a", "a"}, *told); diff != "" || m.Dead("a") {
			t.Errorf("a is silent %t, although it renewed; told (-want +got): %s", m.Dead("a"), diff)
		}
		if m.Dead("nowhere") {
			t.Error("a node that nobody listens to is silent")
		}
	})
}

// What the watch has not told does not make a node dead.
func TestMonitorConfirms(t *testing.T) {
	for name, test := range map[string]struct {
		lease *coordinationv1.Lease
		err   error
	}{
		"it was renewed":          {lease: lease("a")},
		"it is gone":              {err: apierrors.NewNotFound(coordinationv1.Resource("leases"), "a")},
		"it may not be asked for": {err: apierrors.NewForbidden(coordinationv1.Resource("leases"), "a", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			monitored(t, func(t *testing.T, m *Monitor, client *fake.Clientset, told *[]string) {
				m.Want(web, sets.New("a", "b", "c"))
				renew(t, client, 2, "a", "b", "c")
				client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, test.lease, test.err
				})
				renew(t, client, 4, "b", "c")
				if m.Dead("a") || len(*told) > 0 {
					t.Errorf("it is dead %t; told of %v", m.Dead("a"), *told)
				}
			})
		})
	}
}

// A node that is removed from the cluster is not dead.
func TestMonitorOfALeaseThatIsDeleted(t *testing.T) {
	monitored(t, func(t *testing.T, m *Monitor, client *fake.Clientset, told *[]string) {
		m.Want(web, sets.New("a", "b", "c"))
		renew(t, client, 2, "a", "b", "c")
		renew(t, client, 3, "b", "c")
		if !m.Dead("a") {
			t.Fatal("a is not dead")
		}
		if err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		renew(t, client, 6, "b", "c")
		if diff := cmp.Diff([]string{"a", "a"}, *told); diff != "" || m.Dead("a") {
			t.Errorf("a is dead %t; told (-want +got): %s", m.Dead("a"), diff)
		}
	})
}

// Nodes are listened to while they matter to anybody.
func TestMonitorWatchesWhatIsWanted(t *testing.T) {
	monitored(t, func(t *testing.T, m *Monitor, client *fake.Clientset, _ *[]string) {
		db := types.NamespacedName{Namespace: "default", Name: "db"}
		m.Want(web, sets.New("a", "b"))
		m.Want(db, sets.New("b"))
		m.Want(db, sets.New("b"))
		synctest.Wait()
		var watched []string
		for _, action := range client.Actions() {
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
			t.Errorf("listening to %v, want b alone", got)
		}
		m.Want(db, nil)
		if got := slices.Sorted(maps.Keys(m.nodes)); len(got) > 0 || len(m.wanted) > 0 {
			t.Errorf("listening to %v, want none", got)
		}
	})
}
