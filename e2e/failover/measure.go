package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
	"qoqo.dev/active-standby-controller/e2e/kind"
	"qoqo.dev/active-standby-controller/e2e/target/record"
	"qoqo.dev/active-standby-controller/e2e/traffic"
)

// measurement is a cluster with the workloads of all routings.
type measurement struct {
	*kind.Cluster
	image     string
	seen      *sightings
	workloads map[string]*workload // by routing
}

func (m *measurement) prepare(ctx context.Context) (err error) {
	if err := m.deleteNamespace(ctx); err != nil {
		return err
	}
	if _, err := m.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if m.seen, err = watch(ctx, m.Client); err != nil {
		return err
	}
	return m.eventually(ctx, "the namespace's ServiceAccount exists", func() error {
		_, err := m.Client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// The containers of a client.
const (
	overNew  = "new"
	overKept = "kept"
)

// run measures one failure, of some routings' masters at the same time.
func (m *measurement) run(ctx context.Context, s Scenario, routings []string) (observed []results.Observation, err error) {
	var all []*workload
	for _, routing := range routings {
		w := m.workloads[routing]
		all = append(all, w)
		if err := m.settle(ctx, w); err != nil {
			return nil, err
		}
	}
	if s.node {
		if err := m.gather(ctx, all, s.withController); err != nil {
			return nil, err
		}
	}
	// A kept-alive connection to a master of before would stay there.
	if err := m.eventually(ctx, "nothing moves", m.quiet); err != nil {
		return nil, err
	}
	for _, w := range all {
		ask := []string{"request", "-url", w.url, "-every", interval.String(), "-timeout", timeout.String()}
		client, startErr := traffic.Start(ctx, m.Client, namespace, m.ControlPlane, m.image, map[string][]string{
			overNew: ask, overKept: append(slices.Clone(ask), "-keep"),
		})
		if startErr != nil {
			return nil, startErr
		}
		defer func() { err = errors.Join(err, client.Delete(context.WithoutCancel(ctx))) }()
		w.client = client
	}
	for _, w := range all {
		if err := m.steady(ctx, s, w); err != nil {
			return nil, err
		}
	}
	// Anywhere in the second between two readiness probes.
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(rand.N(time.Second)):
	}
	m.seen.forget()
	if s.undo != nil {
		defer func() { err = errors.Join(err, s.undo(context.WithoutCancel(ctx), m, all[0])) }()
	}
	cause, err := s.cause(ctx, m, all[0])
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		observation, err := m.observe(ctx, w, cause)
		if err != nil {
			return nil, err
		}
		observed = append(observed, observation)
	}
	return observed, nil
}

// steady waits until both clients are answered and kube-proxy has had its rest.
// In the plain Service the pod that fails is the one of the kept-alive connection.
func (m *measurement) steady(ctx context.Context, s Scenario, w *workload) error {
	var since time.Time
	return m.eventually(ctx, "the clients of "+w.routing+" are answered", func() error {
		for _, container := range []string{overNew, overKept} {
			latest, err := w.client.Read(ctx, container, 1)
			if err != nil {
				return err
			}
			if len(latest) == 0 || latest[0].Error != "" || w.routing != results.Plain && latest[0].Pod != w.master.Name {
				since = time.Time{}
				return fmt.Errorf("the master is %s, the latest of %s: %+v", w.master.Name, container, latest)
			}
			if container == overKept && w.routing == results.Plain && !s.node && w.master.Name != latest[0].Pod {
				if w.master, err = m.Client.CoreV1().Pods(namespace).Get(ctx, latest[0].Pod, metav1.GetOptions{}); err != nil {
					return err
				}
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < rest {
			return fmt.Errorf("answered for %s only", time.Since(since))
		}
		return m.quiet()
	})
}

// quiet fails until kube-proxy has had its rest.
func (m *measurement) quiet() error {
	if quiet := m.seen.quiet(); quiet < rest {
		return fmt.Errorf("quiet for %s only", quiet)
	}
	return nil
}

// atLeast is for how long the clients are watched after a cause, and calm the
// stretch of time without a lost request or another's answer that ends a run.
const atLeast, calm = 4 * time.Second, 1500 * time.Millisecond

// observe waits until the workload's traffic is as it should be, and reads what
// has happened.
func (m *measurement) observe(ctx context.Context, w *workload, cause time.Time) (o results.Observation, err error) {
	o = results.Observation{Routing: w.routing, Cause: cause, Old: w.master.Name}
	err = m.eventually(ctx, w.routing+" is served again", func() error {
		// By now it is known what became of what was sent then.
		o.Until = time.Now().Add(-timeout - 100*time.Millisecond)
		if o.Until.Before(cause.Add(atLeast)) {
			return fmt.Errorf("it is too early")
		}
		holder := ""
		if w.routing != results.Plain {
			lease, err := m.Client.CoordinationV1().Leases(namespace).Get(ctx, w.routing, metav1.GetOptions{})
			if err != nil {
				return err
			}
			holder = ptr.Deref(lease.Spec.HolderIdentity, "")
		}
		latest, err := w.client.Read(ctx, overNew, 2*int64((timeout+calm)/interval))
		if err != nil {
			return err
		}
		latest = slices.DeleteFunc(latest, func(r record.Request) bool { return r.Sent.Before(o.Until.Add(-calm)) || r.Sent.After(o.Until) })
		if i := slices.IndexFunc(latest, func(r record.Request) bool { return r.Error != "" || holder != "" && r.Pod != holder }); i >= 0 {
			return fmt.Errorf("the holder is %q, but %+v", holder, latest[i])
		}
		if len(latest) < int(calm/interval)/2 {
			return fmt.Errorf("there are only %d requests within %s", len(latest), calm)
		}
		if o.New, err = w.client.Read(ctx, overNew, 0); err != nil {
			return err
		}
		o.Kept, err = w.client.Read(ctx, overKept, 0)
		return err
	})
	if err != nil {
		return o, err
	}
	m.seen.fill(&o, w.master)
	o.Transitions, err = m.transitions(ctx, w)
	return o, err
}

// gather brings the masters of the workloads together on a worker that has, or
// has not, one of the controller's replicas.
func (m *measurement) gather(ctx context.Context, all []*workload, withController bool) error {
	node := ""
	if err := m.eventually(ctx, "the controller's replicas are at rest", func() error {
		controllers, err := m.Client.CoreV1().Pods(kind.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=active-standby-controller"})
		if err != nil {
			return err
		}
		occupied := sets.New[string]()
		for _, pod := range controllers.Items {
			if !ready(&pod) {
				return fmt.Errorf("%s is not Ready", pod.Name)
			}
			occupied.Insert(pod.Spec.NodeName)
		}
		i := slices.IndexFunc(m.Workers, func(node string) bool { return occupied.Has(node) == withController })
		if i < 0 || len(controllers.Items) < 2 {
			return fmt.Errorf("%d replicas are on %v", len(controllers.Items), sets.List(occupied))
		}
		node = m.Workers[i]
		return nil
	}); err != nil {
		return err
	}
	for _, w := range all {
		if err := m.moveTo(ctx, w, node); err != nil {
			return err
		}
	}
	return nil
}

// moveTo makes the pod on that node the workload's master.
func (m *measurement) moveTo(ctx context.Context, w *workload, node string) error {
	return m.eventually(ctx, fmt.Sprintf("the master of %s is on %s", w.routing, node), func() error {
		if err := m.settle(ctx, w); err != nil || w.master.Spec.NodeName == node {
			return err
		}
		pods, err := m.pods(ctx, w)
		if err != nil {
			return err
		}
		there := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Spec.NodeName == node })
		if there < 0 {
			return fmt.Errorf("no pod is there")
		}
		if w.routing == results.Plain {
			w.master = &pods[there]
			return nil
		}
		if err := m.editHolder(ctx, w, pods[there].Name); err != nil {
			return err
		}
		return fmt.Errorf("it is on %s", w.master.Spec.NodeName)
	})
}
