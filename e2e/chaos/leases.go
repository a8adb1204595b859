package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// total is what became of an election in the whole run.
type total struct {
	moves   int
	epoch   int32
	holders sets.Set[string]
}

// record is what the controller has written into a Lease, for as long as Services ask for
// it.
type record struct {
	epoch   int32
	holders map[int32]types.UID
	last    types.UID
	// asking are the Services that asked for the Lease when it was there last, and still do.
	asking sets.Set[types.UID]
	// unasked: since the controller wrote the Lease there was a moment in which no Service
	// asked for it.
	unasked bool
}

// asked reports whether a Service asks for that Lease.
func (j *judge) asked(name string) bool { return j.asking(name).Len() > 0 }

// asking are the Services that ask for that Lease.
func (j *judge) asking(name string) sets.Set[types.UID] {
	all := sets.New[types.UID]()
	for _, s := range j.members(name) {
		all.Insert(s.UID)
	}
	return all
}

// served reports whether a Service asks for that Lease that is not refused.
func (j *judge) served(name string) bool {
	return slices.ContainsFunc(j.members(name), func(s *corev1.Service) bool {
		_, _, ok := api.Parse(s)
		return ok
	})
}

// traced is the highest epoch that objects beside the Lease tell of; 0 if none does.
func (j *judge) traced(name string) (epoch int32) {
	for _, s := range j.members(name) {
		epoch = max(epoch, observation.Stamp(s))
		for _, own := range j.slicesOf(s.Name, true) {
			epoch = max(epoch, observation.Stamp(own))
		}
		for _, p := range j.pods {
			if api.Selects(s, podLabels(p)) {
				epoch = max(epoch, observation.PodStamp(p))
			}
		}
	}
	return epoch
}

// forget takes back what nothing tells of any longer while the Lease is gone, and no Service can be
// served, so that nobody makes it anew, or pods cannot be stamped.
func (r *record) forget(beyond int32) {
	r.epoch = min(r.epoch, beyond)
	maps.DeleteFunc(r.holders, func(epoch int32, _ types.UID) bool { return epoch > beyond })
}

// electionOf is the name of the Lease of a Service.
func (j *judge) electionOf(service string) string {
	if s := j.services[service]; s != nil {
		return api.LeaseName(s)
	}
	return service
}

func (j *judge) seeLease(l *coordinationv1.Lease, deleted bool) {
	before := j.leases[l.Name]
	keep(j.leases, l, deleted)
	switch {
	case deleted:
		j.tell(l.Name, "Lease %s is gone", l.Name)
		if r := j.records[l.Name]; r != nil && r.unasked {
			// It was released, though a Service may have opted in again meanwhile.
			delete(j.records, l.Name)
		}
		return
	case l.Labels[api.LabelManagedBy] != api.ManagedBy, before != nil && lease.RenewedOnly(before, l), !lease.Decode(l).Exists:
		return
	}
	epoch, holder := ptr.Deref(l.Spec.LeaseTransitions, 0), types.UID(l.Annotations[api.AnnotationHolderUID])
	says := fmt.Sprintf("%q (%.4s) in epoch %d, %s", ptr.Deref(l.Spec.HolderIdentity, ""), holder, epoch, l.Annotations[api.AnnotationReason])
	if edit := l.Annotations[annotationEdit]; edit != "" && (before == nil || byActor(before, l)) {
		j.tell(l.Name, "Lease %s is edited: %s", l.Name, says)
		return
	}
	j.tell(l.Name, "Lease %s: %s", l.Name, says)
	r := j.records[l.Name]
	if r == nil {
		r = &record{holders: map[int32]types.UID{}}
		j.records[l.Name] = r
	}
	of := j.totals[l.Name]
	if of == nil {
		of = &total{holders: sets.New[string]()}
		j.totals[l.Name] = of
	}
	of.epoch = max(of.epoch, epoch)
	switch had := r.holders[epoch]; {
	case epoch < r.epoch:
		j.fail(l.Name, "the epoch of Lease %s falls from %d to %d", l.Name, r.epoch, epoch)
	case had != "" && holder != "" && had != holder:
		j.fail(l.Name, "epoch %d of Lease %s has two holders, %s and then %s", epoch, l.Name, had, holder)
	}
	if r.last != "" && holder != "" && r.last != holder {
		of.moves++
		if !r.unasked {
			j.checkFollowed(before, l, r.last)
		}
	}
	if r.epoch, r.unasked = epoch, !j.asked(l.Name); holder != "" {
		r.holders[epoch], r.last = holder, holder
		of.holders.Insert(ptr.Deref(l.Spec.HolderIdentity, ""))
	}
}

// checkFollowed is for a pod that is no longer the holder.
func (j *judge) checkFollowed(before, now *coordinationv1.Lease, former types.UID) {
	pod := j.pod(former)
	if leading := j.leading(now.Name); leading != nil && (pod == nil || api.Selects(leading, podLabels(pod))) {
		if since, is := j.paused[leading.Name]; is && j.sound-since > closing {
			j.fail(now.Name, "Lease %s moves though Service %s is paused", now.Name, leading.Name)
		}
	}
	if pod == nil || observation.Finished(pod) {
		return
	}
	for _, m := range j.members(now.Name) {
		if m.Annotations[api.AnnotationHandover] == api.HandoverAfterTermination {
			j.fail(now.Name, "%s is followed and may run, though Service %s says %s", pod.Name, m.Name, api.HandoverAfterTermination)
		}
	}
	if before == nil || before.Spec.RenewTime == nil || before.Spec.LeaseDurationSeconds == nil || now.Spec.AcquireTime == nil || !notReadyFor(pod, now.Spec.AcquireTime.Time) {
		return
	}
	expires := before.Spec.RenewTime.Add(time.Duration(*before.Spec.LeaseDurationSeconds) * time.Second)
	if left := expires.Sub(now.Spec.AcquireTime.Time); left > 0 {
		j.fail(now.Name, "%s is followed, is not Ready and may believe in Lease %s for another %s", pod.Name, now.Name, left)
	}
}

// notReadyFor reports whether the pod was not Ready for some time before. Its times are in
// whole seconds.
func notReadyFor(pod *corev1.Pod, at time.Time) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue && c.LastTransitionTime.Add(2*time.Second).Before(at)
	})
}

// leading is the Service whose settings apply, unless it selects no pod of the others.
func (j *judge) leading(name string) *corev1.Service {
	members := j.members(name)
	if len(members) == 0 {
		return nil
	}
	return observation.Leading(members, types.NamespacedName{Namespace: members[0].Namespace, Name: name})
}

// members are the annotated Services of an election, by name.
func (j *judge) members(name string) (members []*corev1.Service) {
	for _, service := range slices.Sorted(maps.Keys(j.services)) {
		if s := j.services[service]; api.Annotated(s) && api.LeaseName(s) == name {
			members = append(members, s)
		}
	}
	return members
}
