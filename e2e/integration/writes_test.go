//go:build integration

package integration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	renewedNamespaces = 20
	renewedServices   = 50 // of each namespace
	renewedDuration   = 15 * time.Second
	// A Lease is renewed three times in its duration.
	renewedInterval = renewedDuration / 3
	// A whole number of intervals, so that all Leases are renewed as often.
	renewedObserved = 6 * renewedInterval
)

// The renewals of the Leases of a thousand elections: how many, when, and at what cost.
func TestManyRenewals(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute and a half")
	}
	b := &renewals{T: t}
	began := time.Now()
	b.create()
	created := time.Now()
	version := b.awaitRenewed()
	t.Logf("all were created within %s and renewed within further %s", created.Sub(began), time.Since(created))

	before := cpu(t)
	b.began = time.Now()
	slowest := b.machine()
	b.watch(version, b.began.Add(renewedObserved))
	b.slowest = slowest()
	took, after := time.Since(b.began), cpu(t)
	for i := range running {
		used := after[i] - before[i]
		t.Logf("%s used %s of CPU in %s, %.1f %% of one", replicaName(i), used.Round(10*time.Millisecond), took.Round(time.Second), 100*used.Seconds()/took.Seconds())
	}
	b.rate()
	b.evenness()
	b.gaps()
	b.conflicts()
}

// renewals are the renewals of many Leases.
type renewals struct {
	*testing.T
	namespaces []string
	// began is when they began to be counted.
	began time.Time
	// slowest is how long the API server took at most to answer the test itself.
	slowest time.Duration
	// renewed are the times of each Lease's renewals, those before and after that
	// are counted among them.
	renewed map[types.NamespacedName][]time.Time
}

// create creates Services with a pod each. What plays the nodes, and Kubernetes' own
// EndpointSlice controller, make some twenty requests in a second: they would need
// minutes. So the pods are never scheduled, the test itself says that they are Ready,
// and the Services have no selectors.
func (b *renewals) create() {
	b.Helper()
	for range renewedNamespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "renewed-"}}
		namespace = assert.Must(client.CoreV1().Namespaces().Create(b.Context(), namespace, metav1.CreateOptions{}))(b)
		b.namespaces = append(b.namespaces, namespace.Name)
	}
	b.Cleanup(b.calm)
	b.everywhere(func(namespace, name string) error { return createRenewed(b.Context(), namespace, name) })
}

// everywhere does something for each Service, in all namespaces at once.
func (b *renewals) everywhere(do func(namespace, name string) error) {
	b.Helper()
	var doing sync.WaitGroup
	for _, namespace := range b.namespaces {
		doing.Go(func() {
			for i := range renewedServices {
				if err := do(namespace, fmt.Sprintf("web-%02d", i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	doing.Wait()
}

func createRenewed(ctx context.Context, namespace, name string) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: podSpec()}
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/never"}}
	for {
		// The namespace's ServiceAccount comes a little later than the namespace.
		_, err := client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err == nil {
			break
		}
		if !apierrors.IsForbidden(err) {
			return err
		}
	}
	ready := fmt.Appendf(nil, `{"status":{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":%q}]}}`, time.Now().Format(time.RFC3339))
	if _, err := client.CoreV1().Pods(namespace).Patch(ctx, name, types.StrategicMergePatchType, ready, metav1.PatchOptions{}, "status"); err != nil {
		return err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			api.AnnotationServiceMode:   api.ModeActiveStandby,
			api.AnnotationSelector:      "app=" + name,
			api.AnnotationLeaseDuration: renewedDuration.String(),
		}},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack)},
	}
	_, err := client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{})
	return err
}

// calm takes the setting away and waits until no Lease is renewed, because other tests see
// the controller at rest.
func (b *renewals) calm() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	body := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, api.AnnotationLeaseDuration)
	b.everywhere(func(namespace, name string) error {
		_, err := client.CoreV1().Services(namespace).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{})
		return err
	})
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		list, err := b.leases(ctx)
		return err == nil && !slices.ContainsFunc(list.Items, func(l coordinationv1.Lease) bool { return l.Spec.LeaseDurationSeconds != nil }), err
	})
	if err != nil {
		b.Error(err)
	}
}

// leases are the Leases of the controller, in all namespaces.
func (b *renewals) leases(ctx context.Context) (*coordinationv1.LeaseList, error) {
	list, err := client.CoordinationV1().Leases("").List(ctx, metav1.ListOptions{LabelSelector: api.LabelManagedBy + "=" + api.ManagedBy})
	if err == nil {
		list.Items = slices.DeleteFunc(list.Items, func(l coordinationv1.Lease) bool { return !slices.Contains(b.namespaces, l.Namespace) })
	}
	return list, err
}

// awaitRenewed waits until all Leases have been renewed an interval after the last was
// made, when the controller has nothing else left to do; and returns the version from
// which on they are to be watched.
func (b *renewals) awaitRenewed() (version string) {
	b.Helper()
	assert.Eventually(b, 10*patience, "all Leases have been renewed", func() error {
		list, err := b.leases(b.Context())
		if err != nil {
			return err
		}
		var last time.Time
		renewed := map[types.NamespacedName][]time.Time{}
		for _, l := range list.Items {
			if l.Spec.RenewTime != nil {
				renewed[types.NamespacedName{Namespace: l.Namespace, Name: l.Name}] = []time.Time{l.Spec.RenewTime.Time}
				last = later(last, l.Spec.AcquireTime.Time)
			}
		}
		for name, at := range renewed {
			if at[0].Before(last.Add(renewedInterval)) {
				delete(renewed, name)
			}
		}
		if want := renewedNamespaces * renewedServices; len(renewed) < want {
			return fmt.Errorf("%d of %d", len(renewed), want)
		}
		b.renewed, version = renewed, list.ResourceVersion
		return nil
	})
	return version
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// counted reports whether a renewal is among those that are counted.
func (b *renewals) counted(at time.Time) bool {
	return !at.Before(b.began) && at.Before(b.began.Add(renewedObserved))
}

// watch writes down when Leases are renewed, up to a time, of which it hears somewhat
// later.
func (b *renewals) watch(version string, until time.Time) {
	b.Helper()
	options := metav1.ListOptions{LabelSelector: api.LabelManagedBy + "=" + api.ManagedBy, ResourceVersion: version}
	watching := assert.Must(client.CoordinationV1().Leases("").Watch(b.Context(), options))(b)
	defer watching.Stop()
	const late = time.Second
	enough := time.After(time.Until(until.Add(late)))
	for {
		select {
		case event, more := <-watching.ResultChan():
			lease, is := event.Object.(*coordinationv1.Lease)
			if !more || !is {
				b.Fatalf("the watch ended with %v", event.Object)
			}
			name := types.NamespacedName{Namespace: lease.Namespace, Name: lease.Name}
			times, ours := b.renewed[name]
			if !ours {
				continue
			}
			if event.Type != watch.Modified {
				b.Errorf("%s of %s", event.Type, name)
			}
			if last := times[len(times)-1]; !lease.Spec.RenewTime.Time.Equal(last) {
				b.renewed[name] = append(times, lease.Spec.RenewTime.Time)
			} else {
				b.Errorf("%s was written to, and not renewed", name)
			}
		case <-enough:
			return
		}
	}
}
