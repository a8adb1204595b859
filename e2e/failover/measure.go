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
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
	"qoqo.dev/active-standby-controller/e2e/traffic"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// measurement is a cluster with the workloads of one scenario at a time.
type measurement struct {
	*kind.Cluster
	image     string
	seen      *sightings
	workloads []*workload
	off       *offNode // the node that the run before had turned off, or nil
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

// The containers of a client pod: one opens new connections, one keeps its connection.
const (
	overNew  = "new"
	overKept = "kept"
)

// run measures one failure or move, which the variants of the round undergo together.
func (m *measurement) run(ctx context.Context, s Scenario, round []results.Variant) (observed []results.Observation, err error) {
	if err := m.nodeIsUp(ctx); err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(slices.Clone(m.workloads), func(w *workload) bool { return !slices.Contains(round, w.variant) })
	for _, w := range all {
		if err := m.settle(ctx, w); err != nil {
			return nil, err
		}
	}
	if s.node {
		if err := m.gather(ctx, all, s.withController); err != nil {
			return nil, err
		}
	}
	if s.alone {
		if err := m.apart(ctx, all[0]); err != nil {
			return nil, err
		}
	}
	// Clients start after this. Earlier, a kept-alive connection could lead to a former
	// master, and would stay with it.
	if err := m.eventually(ctx, "kube-proxy is at rest", func() error { return m.quiet(follow) }); err != nil {
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
	if err := m.poise(ctx, s, all); err != nil {
		return nil, err
	}
	m.seen.forget()
	if s.undo != nil {
		defer func() { err = errors.Join(err, s.undo(context.WithoutCancel(ctx), m, all[0])) }()
	}
	cause, err := s.cause(ctx, m, all[0])
	if err != nil {
		return nil, err
	}
	over := time.Now()
	for _, w := range all {
		observation, err := m.observe(ctx, w, cause, over)
		if err != nil {
			return nil, err
		}
		observed = append(observed, observation)
	}
	return observed, nil
}

// poise waits for the moment of the cause. The clients are answered by then, and
// kube-proxy has had its rest. The moment is at random in the second between two
// readiness probes.
func (m *measurement) poise(ctx context.Context, s Scenario, all []*workload) error {
	for {
		if err := m.steady(ctx, s, all); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(time.Second)):
		}
		if m.quiet(rest) == nil {
			return nil
		}
	}
}

// steady waits until three things are true: all clients have been answered for the
// time before the cause in which requests count, kube-proxy has had its rest, and no
// pod starts or ends.
func (m *measurement) steady(ctx context.Context, s Scenario, all []*workload) error {
	var since time.Time
	return m.eventually(ctx, "the clients are answered", func() error {
		for _, w := range all {
			if err := m.answered(ctx, s, w); err != nil {
				since = time.Time{}
				return err
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < results.Lead {
			return fmt.Errorf("answered for %s only", time.Since(since))
		}
		if err := m.quiet(rest); err != nil {
			return err
		}
		return m.idle(ctx)
	})
}

// idle returns an error while a pod of any workload starts or ends, such as after the
// run of another workload.
func (m *measurement) idle(ctx context.Context) error {
	pods, err := m.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app"})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if !ready(&pod) {
			return fmt.Errorf("%s is not Ready", pod.Name)
		}
	}
	return nil
}

// answered returns an error unless the latest request of both clients was answered,
// and by the master. The plain Service has no master: in its place the pod that
// answers the kept-alive connection will fail, unless the node is what fails.
func (m *measurement) answered(ctx context.Context, s Scenario, w *workload) error {
	for _, container := range []string{overNew, overKept} {
		latest, err := w.client.Read(ctx, container, 1)
		if err != nil {
			return err
		}
		if len(latest) == 0 || latest[0].Error != "" || !w.plain() && latest[0].Pod != w.master.Name {
			return fmt.Errorf("the master of %s is %s, but the latest request of client %q is %+v", w.name(), w.master.Name, container, latest)
		}
		if container == overKept && w.plain() && !s.node && w.master.Name != latest[0].Pod {
			if w.master, err = m.Client.CoreV1().Pods(namespace).Get(ctx, latest[0].Pod, metav1.GetOptions{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// quiet returns an error until kube-proxy has had nothing to do for that long.
func (m *measurement) quiet(least time.Duration) error {
	if quiet := m.seen.quiet(); quiet < least {
		return fmt.Errorf("quiet for %s only", quiet)
	}
	return nil
}

const (
	// atLeast is how long the clients are watched after the cause is over. A rolling
	// restart takes some seconds, and its last pods end later still.
	atLeast = 4 * time.Second
	// calm is the time that ends a run: no request is lost in it, and only the master
	// answers.
	calm = 1500 * time.Millisecond
)

// observe waits until the workload's traffic is calm, and returns what happened.
func (m *measurement) observe(ctx context.Context, w *workload, cause, over time.Time) (o results.Observation, err error) {
	o = results.Observation{Variant: w.variant, Cause: cause, Old: w.master.Name}
	err = m.eventually(ctx, w.name()+" is served again", func() error {
		// The outcome of every request that was sent by then is known now.
		o.Until = time.Now().Add(-timeout - 100*time.Millisecond)
		if o.Until.Before(over.Add(atLeast)) {
			return errors.New("the cause was a short time ago")
		}
		holder := ""
		if !w.plain() {
			lease, err := m.Client.CoordinationV1().Leases(namespace).Get(ctx, w.name(), metav1.GetOptions{})
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
			return fmt.Errorf("the holder is %q, but a request was %+v", holder, latest[i])
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
