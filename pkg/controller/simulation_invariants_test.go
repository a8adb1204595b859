package controller

import (
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// record is what the Lease of an election has said, for as long as Services ask for it.
type record struct {
	epoch int32
	// holderOf is who has held the Lease in which epoch.
	holderOf map[int32]types.UID
	// last is who has held it last.
	last types.UID
	// named are the epochs that have stood beside the holder's name since a user or an application
	// wrote that.
	named map[int32]bool
	// expires is until when the master may believe in what a replica has renewed.
	expires time.Time
	// unasked: there was a moment, since a replica has written the Lease, in which no
	// Service asked for it.
	unasked bool
}

// written looks, after anything was written, for what must never be.
func (w *world) written() {
	for name, r := range w.records {
		l := w.leases.all[name]
		silent := l == nil || !says(l)
		if !w.asked(name) {
			if r.unasked = true; silent {
				delete(w.records, name)
			}
		} else if !w.routes(name) && silent {
			// Nothing but the Lease tells of the epochs of an election that is observed.
			w.leaseEnded(name)
		}
	}
	w.checkListed()
}

// asked reports whether a Service asks for that Lease.
func (w *world) asked(name string) bool { return w.has(name, api.Annotated) }

// routes reports whether a Service takes part in the election of that Lease.
func (w *world) routes(name string) bool { return w.has(name, api.Routed) }

func (w *world) has(name string, is func(*corev1.Service) bool) bool {
	for _, s := range w.services.all {
		if is(s) && api.LeaseName(s) == name {
			return true
		}
	}
	return false
}

// leaseWritten checks what a replica makes of a Lease, nil if there was none, and reports
// whether that is a renewal and nothing else.
func (w *world) leaseWritten(by *replica, before, now *coordinationv1.Lease) (renewed bool) {
	if before != nil && before.Labels[api.LabelManagedBy] != api.ManagedBy {
		w.fail("replica %d overwrites the foreign Lease %s", by.number, now.Name)
	}
	r := w.records[now.Name]
	if r != nil && !lease.Decode(now).Exists {
		// It has begun anew, and gives out no epoch.
		r.unasked = !w.asked(now.Name)
		return false
	}
	if r == nil {
		r = &record{holderOf: map[int32]types.UID{}}
		w.records[now.Name] = r
	}
	epoch, holder := ptr.Deref(now.Spec.LeaseTransitions, 0), lease.Decode(now).HolderUID
	former := r.last
	if held := lease.Decode(before); held.Exists && held.Contender != "" {
		w.checkContended(by, r, before, now)
	}
	switch had := r.holderOf[epoch]; {
	case holder != "" && epoch > 1 && !w.begun && len(w.leases.all) <= 1: // pods that elections share do not say which one has stamped them
		w.fail("the first master of Lease %s is in epoch %d", now.Name, epoch)
	case epoch < r.epoch:
		w.fail("the epoch of Lease %s falls from %d to %d", now.Name, r.epoch, epoch)
	case had != "" && holder != "" && had != holder:
		w.fail("the epoch %d of Lease %s has two holders, %s and then %q", epoch, now.Name, had, holder)
	}
	if was := lease.Remembered(before); by.seen != nil && was.AfterTermination && !lease.Remembered(now).AfterTermination &&
		!slices.ContainsFunc(by.seen.Services, func(s *corev1.Service) bool { return s.Name == was.Leading || saysHandover(s) }) {
		w.fail("replica %d forgets that Service %s has asked for %s", by.number, was.Leading, api.HandoverAfterTermination)
	}
	if former != "" && holder != "" && former != holder {
		w.checkFollowed(by, r, before, now.Name, former, holder)
	}
	if by.seen != nil && (lease.Decode(before).Exists || !w.outlived(former)) {
		w.checkNeeded(by, former, holder)
	}
	if r.epoch, r.unasked = epoch, !w.asked(now.Name); holder != "" {
		r.holderOf[epoch], r.last = holder, holder
		w.held[holder], w.begun = true, true
	}
	if now.Spec.RenewTime != nil && now.Spec.LeaseDurationSeconds != nil {
		r.expires = now.Spec.RenewTime.Add(time.Duration(*now.Spec.LeaseDurationSeconds) * time.Second)
	}
	return before != nil && lease.RenewedOnly(before, now)
}

// outlived reports whether another pod says that it was master later. Where a Lease begins anew and
// elections overlap, that may be the other's master.
func (w *world) outlived(former types.UID) bool {
	pod := w.pods.uid(former)
	return pod != nil && slices.ContainsFunc(w.pods.list(), func(p *corev1.Pod) bool { return observation.Held(p) > observation.Held(pod) })
}

// checkFollowed is for a pod that is no longer the holder.
func (w *world) checkFollowed(by *replica, r *record, before *coordinationv1.Lease, name string, former, holder types.UID) {
	pod := w.pods.uid(former)
	if pod == nil || observation.Finished(pod) || by.seen == nil {
		return
	}
	if s := awaits(takers(by.seen.Services), name); s != nil {
		w.fail("%s follows %s, which may run, though Service %s says %s: %s", holder, former, s.Name, short(api.AnnotationHandover), api.HandoverAfterTermination)
	}
	seen := slices.IndexFunc(by.seen.Pods, func(p observation.Pod) bool { return p.UID == former })
	if before == nil || before.Spec.RenewTime == nil || before.Spec.LeaseDurationSeconds == nil || seen < 0 || observation.Ready(by.seen.Pods[seen].Pod) {
		return
	}
	expires := before.Spec.RenewTime.Add(time.Duration(*before.Spec.LeaseDurationSeconds) * time.Second)
	if held := lease.Decode(before); held.Contender != "" && (ptr.Deref(before.Spec.HolderIdentity, "") != pod.Name || by.seen.Settings().LeaseDuration == 0) {
		expires = r.expires
	}
	if w.now.Before(expires) {
		w.fail("%s follows %s, which is not Ready and may believe in Lease %s for another %s", holder, former, name, expires.Sub(w.now))
	}
}

// leaseForged takes the epoch that a user wrote into a Lease as what counts from now on, of the holder that the
// controller has recorded.
func (w *world) leaseForged(l *coordinationv1.Lease) {
	epoch := ptr.Deref(l.Spec.LeaseTransitions, 0)
	_, holder, _ := lease.Recorded(l)
	w.held[holder], w.begun = true, true
	w.records[l.Name] = &record{epoch: epoch, holderOf: map[int32]types.UID{epoch: holder}, last: holder}
}

// leaseEnded begins anew where a Lease has gone with the last Service that asked for it.
func (w *world) leaseEnded(name string) {
	delete(w.records, name)
	w.begun = true
}

// checkReleased is for a Lease that a replica deletes.
func (w *world) checkReleased(name string) {
	if r := w.records[name]; r != nil && !r.unasked {
		w.fail("Lease %s is deleted, which a Service asks for all the time", name)
	}
}

// checkDeletion is for a pod that a replica deletes: it was a holder, and is one only if
// another is to follow it. A workload creates it anew, and not many are deleted in a minute.
func (w *world) checkDeletion(by *replica, pod *corev1.Pod) {
	w.deletions = slices.DeleteFunc(append(w.deletions, w.now), func(at time.Time) bool { return w.now.Sub(at) >= time.Minute })
	if len(w.deletions) > 6 {
		w.fail("replica %d deletes %s, the %dth pod within a minute", by.number, pod.UID, len(w.deletions))
	}
	if by.decision.Ineligible == election.HolderNotReady && observation.Ready(pod) && by.decision.HolderUID == pod.UID {
		w.fail("replica %d deletes %s, which is Ready again", by.number, pod.UID)
	}
	if metav1.GetControllerOf(pod) == nil {
		w.fail("replica %d deletes %s, which nothing creates anew", by.number, pod.UID)
	}
	if by.seen.Observed() {
		w.fail("replica %d deletes %s for an election that it observes", by.number, pod.UID)
	}
	if !w.held[pod.UID] {
		w.fail("replica %d deletes %s, which never held a Lease", by.number, pod.UID)
	}
	for _, l := range w.leases.all {
		if lease.Decode(l).HolderUID == pod.UID && !slices.ContainsFunc(takers(by.seen.Services), waits) {
			w.fail("replica %d deletes %s, which holds Lease %s", by.number, pod.UID, l.Name)
		}
	}
}

// checkListed looks for two pods that get a Service's traffic.
func (w *world) checkListed() {
	for name, s := range w.services.all {
		if !api.Routed(s) || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			if ready := w.ready(name, family); len(ready) > 1 && !w.platform.opened[kubernetesSlice(name, family)] && !w.opening(name) {
				w.fail("the traffic of Service %s goes to %s (%s)", name, strings.Join(ready, " and "), family)
			}
		}
	}
}

// checkObserved is for what a replica makes of a Service that observes: it may only take its own keys away.
func (w *world) checkObserved(by *replica, now *corev1.Service) {
	before := w.services.all[now.Name]
	if !api.Observes(now) {
		return
	}
	adds := func(before, now map[string]string) bool {
		for key, value := range now {
			if had, found := before[key]; !found || had != value {
				return true
			}
		}
		return false
	}
	if adds(before.Spec.Selector, now.Spec.Selector) || adds(before.Annotations, now.Annotations) || adds(before.Labels, now.Labels) {
		w.fail("replica %d writes to Service %s, which only observes", by.number, now.Name)
	}
}

// opening reports whether Kubernetes has yet to publish a version of the Service without a
// selector, by which what was listed before stays.
func (w *world) opening(name string) bool {
	return slices.ContainsFunc(w.platform.services[name], func(s *corev1.Service) bool { return s != nil && len(s.Spec.Selector) == 0 })
}
