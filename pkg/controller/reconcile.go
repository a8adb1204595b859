package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// errAwaited: Kubernetes' own EndpointSlice controller has yet to follow the Service. The
// election is retried soon, and then less and less often.
var errAwaited = errors.New("the built-in EndpointSlice controller has yet to follow the Service")

// errTurn: it is another replica's turn. It is no success, and no failure either.
var errTurn = errors.New("another replica goes first")

// errOthersFirst: traffic has moved, and other elections wait to move theirs. The election goes
// on when it is its turn again.
var errOthersFirst = errors.New("other elections come first")

// errPaced: an epoch was recorded ahead of a Lease that could not be written just now. The next
// try would spend another.
var errPaced = errors.New("an epoch was spent on the election just now")

// errBegun: the Lease was created too late, and the election is looked at again.
var errBegun = errors.New("what was read is older than the Lease")

// reconcile brings one election to where it must be. It returns after how long to
// reconcile it again although nothing changes; 0 for never.
func (r road) reconcile(ctx context.Context, k key) (again time.Duration, err error) {
	if k.Name == "" {
		return 0, r.releaseLeftovers(ctx, k.Namespace)
	}
	o, d, wait, err := r.decide(ctx, k)
	switch {
	case err != nil:
		return 0, err
	case len(o.Services) == 0:
		return 0, r.release(ctx, k, o.Lease)
	case wait > 0:
		return soonest(d.Again, wait), errTurn
	}
	r.decided(o, d)
	defer func() {
		if !errors.Is(err, errTurn) {
			r.looked(ctx, o, d, err)
		}
	}()
	switch {
	case len(o.Members) == 0:
		return r.letGo(ctx, o, o.Lease), nil
	case d.Action == election.Refuse:
		// Foreign Leases are not watched.
		return refusedRetryMax, nil
	case d.Action == election.Failover:
		if pause := lease.MovePause(o.Lease, o.Now); pause > 0 {
			held := o.View().Lease
			_, err := r.route(ctx, routing.NewPlan(routing.Assignment{HolderUID: held.HolderUID, Epoch: held.Epoch}, o.Members, o.Pods), func() {})
			return pause, err
		}
	}
	plan := routing.NewPlan(routing.Assignment{HolderUID: d.HolderUID, Epoch: d.Epoch}, o.Members, o.Pods)
	l, again, err := r.record(ctx, o, d, plan)
	if err != nil {
		return d.Again, err
	}
	r.held(o, d)
	if phase, _ := plan.Next(); phase != routing.PhaseDone || len(plan.Disown()) > 0 {
		if wait := r.turn(k, l, routeTurn); wait > 0 && o.Evidence < election.Live {
			return soonest(soonest(d.Again, again), wait), errTurn
		}
	}
	routed, err := r.route(ctx, plan, func() { r.routed(ctx, k, d) })
	if routed && !errors.Is(err, errOthersFirst) || d.Action == election.Stop {
		pause, failed := r.demote(ctx, o, d, l, plan)
		again, err = soonest(again, pause), errors.Join(err, failed)
	}
	if !apierrors.IsConflict(err) && !errors.Is(err, errOthersFirst) {
		err = errors.Join(err, r.disown(ctx, plan))
		again = soonest(again, r.letGo(ctx, o, l))
	}
	return soonest(d.Again, again), err
}

// decide observes and decides, with more evidence each time, until the decision may be acted on.
// If there is something to act on, and it is another replica's turn, it returns for how long to
// wait.
func (r road) decide(ctx context.Context, k key) (o *observation.Observation, d election.Decision, wait time.Duration, err error) {
	for need := election.Cached; ; {
		in, err := r.gather(ctx, k, need)
		if err != nil {
			return nil, d, 0, err
		}
		if o = observation.Look(in); len(o.Members) == 0 {
			return o, d, 0, nil
		}
		d = election.Decide(o.View())
		need = election.Confirm(o.View(), d, in.Evidence)
		if in.Evidence == election.Cached && (need > election.Cached || d.Writes(lease.Decode(o.Lease))) {
			wait = r.turn(k, o.Lease, recordTurn)
		}
		if wait > 0 || need <= in.Evidence {
			return o, d, wait, nil
		}
	}
}

// record writes the decision into the Lease, or renews the Lease if that is due. Of several
// replicas all but one get a conflict here, and start again. It never creates a Lease that says
// something: the Lease must have been there when the rest was read.
func (r road) record(ctx context.Context, o *observation.Observation, d election.Decision, plan *routing.Plan) (l *coordinationv1.Lease, again time.Duration, err error) {
	due, again := renewal(o, d, r.lag)
	began := time.Now()
	next, need := lease.Next(o.Lease, o.Terms(), d, due, o.Now)
	if need == lease.NeedNothing {
		return o.Lease, again, nil
	}
	if o.Lease == nil {
		if _, err = r.writeLease(ctx, lease.Begin(o.Terms())); err == nil {
			err = errBegun
		}
		return nil, again, fmt.Errorf("creating the Lease: %w", err)
	}
	if d.Epoch-1 > o.Traced() && !o.Observed() {
		if !r.paced(o.Key) {
			return nil, again, errPaced
		}
		if err = r.traceAhead(ctx, plan, d.Epoch-1); !onlyRefused(err) {
			r.spend(o.Key)
		}
	}
	if err != nil {
		return nil, again, fmt.Errorf("recording the epoch before the next: %w", err)
	}
	l, err = r.writeLease(ctx, next)
	switch {
	case apierrors.IsConflict(err) && need == lease.NeedRenewal:
		// Another replica has renewed it; any other change comes by the watch.
		return o.Lease, again, nil
	case err != nil:
		return nil, again, fmt.Errorf("writing the Lease: %w", err)
	case need == lease.NeedDecision:
		r.recorded(ctx, o, d, time.Since(began))
	}
	return l, again, nil
}

// traceAhead records, on an object beside the Lease, that the epoch was given out, before the
// Lease says the next: no epoch may be given to two pods, and the Lease may be deleted. Usually
// the epoch is recorded, because it was routed. One object suffices. It is an error if none can be
// written to.
func (r road) traceAhead(ctx context.Context, plan *routing.Plan, epoch int32) (err error) {
	for _, change := range plan.Traces(epoch) {
		var outdated bool
		err, outdated = r.apply(ctx, plan, routing.PhaseTidy, []routing.Change{change})
		gone := change.Kind == routing.KindPod && plan.Pod(change.UID) == nil
		if err == nil && !gone || outdated {
			return err
		}
	}
	return err
}

// route writes what follows from the Lease, phase by phase, and calls tell once traffic
// follows the holder; it reports whether it does. What cannot be written holds up only what
// depends on it. It returns errAwaited if Kubernetes' controller has to follow first, and
// errOthersFirst if what is left can wait.
func (r road) route(ctx context.Context, plan *routing.Plan, tell func()) (routed bool, err error) {
	var errs []error
	const none = routing.PhaseCorrect - 1
	for last := none; ; {
		phase, changes := plan.Next()
		if !routed && plan.Routed(phase) {
			routed = true
			tell()
			if last != none && phase != routing.PhaseDone && len(errs) == 0 && r.crowded() {
				return routed, errOthersFirst
			}
		}
		switch {
		case phase == routing.PhaseDone:
			if err = errors.Join(errs...); err == nil && plan.Migrating() {
				err = errAwaited
			}
			return routed, err
		case phase <= last:
			return routed, fmt.Errorf("phase %d is not finished by its changes; what others write undoes them", phase)
		}
		last = phase
		if err, outdated := r.apply(ctx, plan, phase, changes); outdated {
			return routed, errors.Join(append(errs, err)...)
		} else if err != nil {
			plan.Failed(phase)
			errs = append(errs, err)
		}
	}
}

// disown leaves the selectors that were written to those who apply manifests.
func (r road) disown(ctx context.Context, plan *routing.Plan) error {
	var errs []error
	for _, w := range r.write(ctx, plan.Disown()) {
		errs = append(errs, w.err)
	}
	return errors.Join(errs...)
}

// After letGoRetry it is tried again to take former owners out of a Lease; after letGoAgain if
// another writer was first.
const (
	letGoRetry = time.Minute
	letGoAgain = time.Second
)

// letGo takes Services that no longer take part in the election out of the Lease's owners, once
// nothing is left on them of what the controller wrote. It comes last, and its failure is not the
// election's; it returns after how long to try again, 0 if there is nothing to do. A Lease that an
// application has taken waits until it is given back, and a foreign one is left as it is.
func (r road) letGo(ctx context.Context, o *observation.Observation, l *coordinationv1.Lease) (again time.Duration) {
	former := slices.DeleteFunc(lease.Former(l, o.Terms()), func(owner metav1.OwnerReference) bool {
		// One that is refused may be served again.
		return slices.ContainsFunc(o.Services, func(s *corev1.Service) bool { return s.UID == owner.UID })
	})
	if len(former) == 0 || lease.Decode(l).Foreign || lease.Contender(l) != "" {
		return 0
	}
	if again = r.turn(o.Key, l, routeTurn); again > 0 {
		return again
	}
	left, unreleased, err := r.clean(ctx, o.Key.Namespace, l.OwnerReferences)
	switch {
	case apierrors.IsConflict(err):
		// The clean-up of the namespace runs beside this one, and has released the same Services.
		return letGoAgain
	case unreleased == nil:
		return letGoRetry
	}
	former = slices.DeleteFunc(former, func(owner metav1.OwnerReference) bool {
		// The cache has yet to hear of it.
		return slices.ContainsFunc(left.Annotated(), func(s *corev1.Service) bool { return s.UID == owner.UID && observation.LeaseKey(s) == o.Key })
	})
	switch {
	case len(former) == 0:
		return 0
	case slices.ContainsFunc(former, func(s metav1.OwnerReference) bool { return unreleased.Has(s.Name) }):
		return letGoRetry
	}
	if _, err := r.writeLease(ctx, lease.LetGo(l, former)); err != nil {
		return letGoRetry
	}
	return 0
}

// openFor is how long the writes of labels may keep a Service open.
const openFor = 2 * time.Second

// apply writes the changes of one phase, and lets the plan know of those that succeeded. It
// reports whether the plan is outdated, because another writer was first.
func (r road) apply(ctx context.Context, plan *routing.Plan, phase routing.Phase, changes []routing.Change) (err error, outdated bool) {
	if phase < routing.PhaseRoute && plan.Open() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, openFor)
		defer cancel()
	}
	var errs []error
	results := r.write(ctx, changes)
	for i, change := range changes {
		w := results[i]
		if w.err != nil {
			errs = append(errs, w.err)
			outdated = outdated || apierrors.IsConflict(w.err) || apierrors.IsAlreadyExists(w.err)
			continue
		}
		if reversion := plan.Applied(change, w.object); reversion != nil {
			r.reverted(w.object, *reversion)
		}
	}
	return errors.Join(errs...), outdated
}

// demote deletes the pod that has to go, if the Service asks for that: the holder, so that
// another pod can follow it, or the former holder. It returns after how long it must be tried
// again, because too many pods were deleted of late; 0 if that is not so.
func (r road) demote(ctx context.Context, o *observation.Observation, d election.Decision, l *coordinationv1.Lease, plan *routing.Plan) (pause time.Duration, err error) {
	pod := plan.Pod(mustGo(o, d, l))
	if pod == nil || pod.Unselected || pod.Elsewhere || !pod.Managed() || !observation.Active(pod.Pod) {
		return 0, nil
	}
	if pause := lease.DeletionPause(l, o.Now); pause > 0 {
		return pause, nil
	}
	if d.Action != election.Stop && observation.Held(pod.Pod) < 0 {
		// Only the Lease says that it was master. Whoever may write there must not have it deleted.
		return 0, nil
	}
	deleted, err := r.deletePod(ctx, pod.Pod, l)
	if deleted {
		r.demoted(ctx, o, d, pod.Pod)
	}
	return 0, err
}

// mustGo names the pod that has to be deleted; empty if there is none.
func mustGo(o *observation.Observation, d election.Decision, l *coordinationv1.Lease) types.UID {
	switch uid := lease.Demoted(l); {
	case o.Observed():
	case d.Action == election.Stop:
		return d.HolderUID
	case uid != d.HolderUID && o.Settings().DeleteDemoted:
		return uid
	}
	return ""
}
