package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// Scenario is a way in which a master fails or moves.
type Scenario struct {
	Name  string // as in results.json
	Title string // as in the documents

	// preStop is how many seconds a deleted pod goes on serving.
	preStop int
	// shared is whether another Service selects the measured pods too.
	shared bool
	// planned is whether nothing fails. Then the plain Service, which has no master to
	// move, is not measured.
	planned bool
	// node is whether the node fails, with the masters of several variants on it.
	node bool
	// frozen is whether the kernel of the node goes on answering.
	frozen bool
	// alone is whether no other workload's master may be on the node, because what is
	// done to the node would move that master too.
	alone bool
	// withController is whether the node also has one of the controller's replicas.
	withController bool

	// cause makes the master fail or move, and returns the time just before it did so.
	cause func(context.Context, *measurement, *workload) (time.Time, error)
	// undo restores the workload. It is nil if the ReplicaSet does so alone, by
	// replacing the pod.
	undo func(context.Context, *measurement, *workload) error
}

// Scenarios are all scenarios, in the order of the documents.
var Scenarios = []Scenario{
	{Name: "not-ready", Title: "The master turns NotReady", cause: fail, undo: replace},
	{Name: "killed", Title: "The master's process is killed", cause: signal("SIGKILL"), undo: replace},
	{Name: "hung", Title: "The master's process hangs", cause: signal("SIGSTOP"), undo: replace},
	{Name: "deleted", Title: "The master is deleted and stops at once", cause: deletePod},
	{Name: "not-ready-shared", Title: "The master turns NotReady, and another Service selects it too", shared: true, cause: fail, undo: replace},
	{Name: "switchover", Title: "Planned switchover", planned: true, cause: switchOver},
	{Name: "deleted-prestop", Title: "The master is deleted and serves on for 2 s", preStop: 2, cause: deletePod},
	{Name: "rolling-restart", Title: "Rolling restart", preStop: 2, cause: restart},
	{Name: "drained", Title: "The master's node is drained", preStop: 2, alone: true, cause: drain, undo: uncordon},
	{Name: "node-off", Title: "The master's node loses power", node: true, cause: onNode("kill"), undo: startNode},
	{Name: "node-off-with-controller", Title: "The master's node loses power, and a replica of the controller with it", node: true, withController: true, cause: onNode("kill"), undo: startNode},
	{Name: "node-frozen", Title: "The master's node freezes", node: true, frozen: true, cause: onNode("pause"), undo: unfreezeNode},
	{Name: "starved", Title: "The nodes have too little CPU time, and nothing fails", cause: starve},
}

// variants returns those of the asked variants that the scenario measures.
func (s Scenario) variants(asked []results.Variant) []results.Variant {
	return slices.DeleteFunc(slices.Clone(asked), func(v results.Variant) bool { return s.planned && v.Routing == results.Plain })
}

// rounds groups the variants that are measured at the same time. Mostly a round has
// one variant, because a change to another one's Service would wake kube-proxy too.
// When a node fails, a round has several variants, because a node takes a while to
// come back. Their failures must be detected in different ways, so that the changes
// to their Services are some seconds apart.
func (s Scenario) rounds(variants []results.Variant) (rounds [][]results.Variant) {
	type detector struct{ kubernetes, probe bool } // neither: the node's silence
	taken := map[detector]int{}
	for _, v := range variants {
		i := len(rounds)
		if s.node {
			by := detector{kubernetes: v.Routing == results.Plain, probe: v.Probe}
			i = taken[by]
			taken[by]++
		}
		if i == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[i] = append(rounds[i], v)
	}
	return rounds
}

// fail makes the application notice that it cannot serve.
func fail(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
	now := time.Now()
	err := m.Client.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(w.master.Name+":8080").
		SubResource("proxy").Suffix("failing", "true").Do(ctx).Error()
	return now, err
}

func signal(name string) func(context.Context, *measurement, *workload) (time.Time, error) {
	return func(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
		now := time.Now()
		return now, m.Signal(ctx, namespace, w.master.Name, name)
	}
}

func deletePod(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
	now := time.Now()
	return now, m.Client.CoreV1().Pods(namespace).Delete(ctx, w.master.Name, metav1.DeleteOptions{})
}

// replace deletes the pod that was the master, so that the next run has a fresh one.
func replace(ctx context.Context, m *measurement, w *workload) error {
	return m.deletePodNow(ctx, w.master.Name)
}

func switchOver(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
	to, err := m.standby(ctx, w)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	return now, m.editHolder(ctx, w, to)
}

func restart(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
	now := time.Now()
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, now.Format(time.RFC3339))
	deployments := m.Client.AppsV1().Deployments(namespace)
	if _, err := deployments.Patch(ctx, w.name(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return now, err
	}
	return now, m.eventually(ctx, w.name()+" is restarted", func() error {
		d, err := deployments.Get(ctx, w.name(), metav1.GetOptions{})
		if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < replicas || d.Status.Replicas > replicas || d.Status.AvailableReplicas < replicas) {
			err = fmt.Errorf("its status is %+v", d.Status)
		}
		return err
	})
}

// drain does what kubectl drain does, without starting a process that would disturb
// the measurement. It cordons the node and evicts the workload's pods there, but not
// those of other workloads.
func drain(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
	now := time.Now()
	if err := m.setUnschedulable(ctx, w.master.Spec.NodeName, true); err != nil {
		return now, err
	}
	pods, err := m.pods(ctx, w)
	if err != nil {
		return now, err
	}
	for _, pod := range pods {
		if pod.Spec.NodeName != w.master.Spec.NodeName {
			continue
		}
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod.Name}}
		if err := m.Client.CoreV1().Pods(namespace).EvictV1(ctx, eviction); err != nil {
			return now, err
		}
	}
	return now, nil
}

func uncordon(ctx context.Context, m *measurement, w *workload) error {
	return m.setUnschedulable(ctx, w.master.Spec.NodeName, false)
}

// onNode runs `docker COMMAND` on the container of the master's node.
func onNode(command string) func(context.Context, *measurement, *workload) (time.Time, error) {
	return func(ctx context.Context, m *measurement, w *workload) (time.Time, error) {
		now := time.Now()
		return now, m.Docker(ctx, w.master.Spec.NodeName, command)
	}
}

// startNode starts the node again; the next run waits until it is up.
func startNode(ctx context.Context, m *measurement, w *workload) error {
	m.off = &offNode{name: w.master.Spec.NodeName, until: time.Now()}
	return m.Docker(ctx, m.off.name, "start")
}

func unfreezeNode(ctx context.Context, m *measurement, w *workload) error {
	return m.Docker(ctx, w.master.Spec.NodeName, "unpause")
}

const (
	// starved is how long nodes get too little CPU time, and hogs how many processes on
	// each node use all that they get.
	starved = 30 * time.Second
	hogs    = 10
)

// starve runs processes on each worker that use all CPU time they get. They end by
// themselves. It returns after that: a master that moves meanwhile was slow, not dead.
func starve(ctx context.Context, m *measurement, _ *workload) (time.Time, error) {
	now := time.Now()
	script := fmt.Sprintf("for i in $(seq %d); do timeout %.0f sh -c 'while :; do :; done' >/dev/null 2>&1 </dev/null & done", hogs, starved.Seconds())
	for _, node := range m.Workers {
		if _, err := m.Exec(ctx, node, "sh", "-c", script); err != nil {
			return now, err
		}
	}
	select {
	case <-ctx.Done():
		return now, context.Cause(ctx)
	case <-time.After(starved):
		return now, nil
	}
}
