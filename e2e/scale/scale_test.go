package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

func line(id, stage, verb, user, resource, subresource string) string {
	return fmt.Sprintf(`{"auditID":%q,"stage":%q,"verb":%q,"user":{"username":%q},"objectRef":{"resource":%q,"subresource":%q}}`+"\n", id, stage, verb, user, resource, subresource)
}

func TestAuditCounts(t *testing.T) {
	a := &audit{ended: map[string]int{}, watching: map[string]bool{}}
	for _, one := range []string{
		line("1", "ResponseComplete", "get", user, "pods", ""),
		line("2", "ResponseComplete", "get", "kwok", "pods", ""),
		line("3", "ResponseComplete", "update", user, "leases", ""),
		line("4", "ResponseComplete", "patch", user, "pods", "status"),
		line("5", "ResponseComplete", "get", user, "pods", ""),
		line("6", "ResponseStarted", "watch", user, "pods", ""),
		line("7", "ResponseStarted", "watch", user, "nodes", ""),
		line("6", "ResponseComplete", "watch", user, "pods", ""),
		line("8", "ResponseComplete", "get", "of:"+user, "pods", ""),
	} {
		if err := a.count([]byte(one)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]int{"get pods": 2, "update leases": 1, "patch pods/status": 1}, a.requests()); diff != "" {
		t.Error("(-want +got)", diff)
	}
	if got := a.open(); got != 1 {
		t.Errorf("%d watches are open, want 1", got)
	}
}

func TestSince(t *testing.T) {
	got := since(map[string]int{"get pods": 2, "list pods": 1}, map[string]int{"get pods": 5, "list pods": 1, "patch pods": 1})
	if diff := cmp.Diff(map[string]int{"get pods": 3, "patch pods": 1}, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

// No line is lost or counted twice where the API server has written half of it.
func TestAuditIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log := assert.Must(os.Create(path))(t)
	defer func() { _ = log.Close() }()
	a := assert.Must(follow(t.Context(), path, func(err error) { t.Error(err) }))(t)
	one := line("1", "ResponseComplete", "get", user, "pods", "")
	expect := func(want int) {
		t.Helper()
		assert.Eventually(t, 10*time.Second, fmt.Sprintf("%d are counted", want), func() error {
			if got := a.requests()["get pods"]; got != want {
				return fmt.Errorf("%d are", got)
			}
			return nil
		})
	}
	write := func(text string) { assert.Must(log.WriteString(text))(t) }
	write(one + one + one[:40])
	expect(2)
	write(one[40:])
	expect(3)
	write(one + one)
	expect(5)
}

func lease(name, holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
}

func slice(name, service string, ready ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	for _, pod := range ready {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Name: pod}})
	}
	s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Name: "not-ready"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}})
	return s
}

func TestSights(t *testing.T) {
	web := election{Namespace: "a", Name: "web"}
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	s := &sights{of: map[election]*sight{}}
	expect := func(former string, held, published int, want bool) {
		t.Helper()
		gotHeld, gotPublished, got := s.served(web, former)
		if got != want || want && (!gotHeld.Equal(at(held)) || !gotPublished.Equal(at(published))) {
			t.Errorf("%v since %v and %v, want %v since %v and %v", got, gotHeld, gotPublished, want, at(held), at(published))
		}
	}
	expect("", 0, 0, false)
	s.see(lease("web", "web-0"), false, at(1))
	expect("", 0, 0, false)
	s.see(slice("x", "web", "web-0", "web-1"), false, at(2))
	expect("", 0, 0, false)
	s.see(slice("x", "web", "web-0"), false, at(3))
	expect("", 1, 3, true)
	expect("web-0", 0, 0, false)
	// What says nothing new is no new sight.
	s.see(lease("web", "web-0"), false, at(4))
	s.see(slice("x", "web", "web-0"), false, at(4))
	s.see(slice("y", "other", "web-1"), false, at(4))
	expect("", 1, 3, true)
	// Two slices are one picture.
	s.see(slice("y", "web", "web-1"), false, at(5))
	expect("", 0, 0, false)
	s.see(lease("web", "web-1"), false, at(6))
	s.see(slice("x", "web", "web-0"), true, at(7))
	expect("web-0", 6, 7, true)
}

func TestProcess(t *testing.T) {
	status := "Name:\tcontroller\nVmPeak:\t 1300000 kB\nVmHWM:\t   50000 kB\nVmRSS:\t   40000 kB\n"
	if got, err := parsePeak([]byte(status)); err != nil || got != 51.2 {
		t.Errorf("the peak is %v, %v", got, err)
	}
	if _, err := parsePeak([]byte("Name:\tcontroller\n")); err == nil {
		t.Error("there is a peak where none is written")
	}
	stat := "42 (a (b) c) S 1 42 42 0 -1 4194560 1000 0 0 0 250 50 0 0 20 0 11 0 12345 1000000 9000"
	if got, err := parseCPU([]byte(stat)); err != nil || got != 3 {
		t.Errorf("the CPU time is %v, %v", got, err)
	}
	if _, err := parseCPU([]byte("42 (a) S 1")); err == nil {
		t.Error("there is a CPU time where none is written")
	}
}

func TestEach(t *testing.T) {
	var sum atomic.Int64
	if err := each(t.Context(), 100, func(_ context.Context, i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 4950 {
		t.Errorf("%d, %v", sum.Load(), err)
	}
	broken := errors.New("broken")
	var calls atomic.Int64
	err := each(t.Context(), 1_000_000, func(context.Context, int) error { calls.Add(1); return broken })
	if !errors.Is(err, broken) || calls.Load() > 1000 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

func TestElections(t *testing.T) {
	all := elections(results.Load{Elections: 5, Namespaces: 2})
	want := []election{{Namespace: "scale-0000", Name: "web-00000"}, {Namespace: "scale-0001", Name: "web-00001"}, {Namespace: "scale-0000", Name: "web-00002"}, {Namespace: "scale-0001", Name: "web-00003"}, {Namespace: "scale-0000", Name: "web-00004"}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestAttacksAreTold(t *testing.T) {
	var names []string
	for _, a := range Attacks() {
		if a.Does == "" || slices.Contains(names, a.Name) {
			t.Errorf("the attack %q is not told, or there twice", a.Name)
		}
		names = append(names, a.Name)
	}
}
