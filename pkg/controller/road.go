package controller

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// road is the way from an event to the writes. The product, the simulation and the
// plugin's tests take the same one; see reconcile.
type road struct {
	reader
	writer
	listener
	pacer
}

// reader reads what an election depends on.
type reader interface {
	// gather reads it, with that evidence. If no Service asks for the election, the Lease
	// suffices.
	gather(ctx context.Context, k key, evidence election.Evidence) (observation.Inputs, error)
	// leftovers reads a namespace from the API server.
	leftovers(ctx context.Context, namespace string) (routing.Leftovers, error)
}

// writer writes to the API server. Every write applies only to the version of the object
// that was read.
type writer interface {
	// writeLease creates a Lease that has no resource version, and updates any other.
	writeLease(ctx context.Context, l *coordinationv1.Lease) (*coordinationv1.Lease, error)
	// deleteLease reports whether it deleted the Lease. It succeeds if there is none.
	deleteLease(ctx context.Context, l *coordinationv1.Lease) (deleted bool, err error)
	// write sends the changes, in any order. Its results are in the order of the changes.
	write(ctx context.Context, changes []routing.Change) []written
	// deletePod deletes the pod if the Lease is still as it was read, and reports whether
	// it did.
	deletePod(ctx context.Context, pod *corev1.Pod, l *coordinationv1.Lease) (deleted bool, err error)
}

// pacer keeps replicas and elections out of each other's way. Nothing rests on it.
type pacer interface {
	// lag, from 0 to 1, is by how much this replica lets others renew the Lease first.
	lag(k key) float64
	// turn returns for how long to leave the election, whose Lease this is, to another replica,
	// which usually takes that long.
	turn(k key, l *coordinationv1.Lease, usual time.Duration) time.Duration
	// paced reports whether an epoch may be spent on a Lease that cannot be written, for now.
	paced(k key) bool
	// spend is told that one was.
	spend(k key)
	// crowded reports whether other elections wait for this replica.
	crowded() bool
}

// written is the result of a change. The object is nil if it is gone.
type written struct {
	object runtime.Object
	err    error
}

// listener is told what happens on the road. It must not block.
type listener interface {
	// decided is told each decision, before anything is written.
	decided(o *observation.Observation, d election.Decision)
	// recorded is told a decision that this replica has written into the Lease.
	recorded(ctx context.Context, o *observation.Observation, d election.Decision, took time.Duration)
	// held is told the holder that the Lease has now, whichever replica has written it.
	held(o *observation.Observation, d election.Decision)
	// routed is told that everything is written with which traffic follows the holder.
	routed(ctx context.Context, k key, d election.Decision)
	// reverted is told that another writer's change of the Service was put back.
	reverted(service runtime.Object, r routing.Reversion)
	// demoted is told of a pod that was deleted.
	demoted(ctx context.Context, o *observation.Observation, d election.Decision, pod *corev1.Pod)
	// looked is told of the end of each reconciliation, and of the error that it ended with.
	// Without Members there is no decision.
	looked(ctx context.Context, o *observation.Observation, d election.Decision, err error)
	// released is told of an election that no Service asks for.
	released(k key)
	// optedOut is told of Services of which this replica has deleted the slices, or the Lease with
	// their election. follows: the election may go on.
	optedOut(services []*corev1.Service, follows bool)
}
