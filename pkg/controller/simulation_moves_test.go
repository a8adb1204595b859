package controller

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// awaits returns the Service of the election that asks for no pod to become master before the former
// one has stopped; nil if there is none, or if the one that has the Lease's name, which decides
// alone, does not ask for it.
func awaits(services []*corev1.Service, name string) *corev1.Service {
	var one *corev1.Service
	for _, s := range services {
		switch {
		case waits(s):
			one = s
		case s.Name == name && api.LeaseName(s) == name:
			return nil
		}
	}
	return one
}

// waits reports whether no pod must become master before the former one has stopped.
func waits(s *corev1.Service) bool {
	said, found := s.Annotations[api.AnnotationHandover]
	return found && said != api.HandoverImmediate
}

// saysHandover reports whether the Service asks for a handover, of whatever kind.
func saysHandover(s *corev1.Service) bool {
	_, said := s.Annotations[api.AnnotationHandover]
	return said
}

// rate takes down since when a pod could be master, or a node is not cordoned; or no longer.
func (w *world) rate(o any, exists bool) {
	switch o := o.(type) {
	case *corev1.Pod:
		may, _ := api.Candidate(o)
		w.rateAs(o.UID, exists && may && observation.Ready(o) && observation.Active(o))
	case *corev1.Node:
		w.rateAs(types.UID(o.Name), exists && !o.Spec.Unschedulable && len(o.Spec.Taints) == 0)
		w.rateAs(existence(o.Name), exists)
	}
}

// existence is what is taken down of a node beside that it is not cordoned.
func existence(node string) types.UID { return types.UID(node + " exists") }

// hearing is what is taken down of a node that a replica does not take for dead.
func (r *replica) hearing(node string) types.UID {
	return types.UID(fmt.Sprint("replica ", r.number, " hears ", node))
}

// rateHearing takes down which nodes the replicas take for dead.
func (w *world) rateHearing() {
	w.next()
	for _, r := range w.replicas {
		for _, node := range nodeNames {
			w.rateAs(r.hearing(node), !r.silent.Has(node) && !w.off.Has(node))
		}
	}
}

func (w *world) rateAs(uid types.UID, able bool) {
	now, before := w.able, w.unable
	if !able {
		now, before = before, now
	}
	delete(before, uid)
	if _, already := now[uid]; !already {
		now[uid] = w.version
	}
}

// allTheWhile reports whether something holds since before the look began.
func (r *replica) allTheWhile(since map[types.UID]int, uid types.UID) bool {
	at, holds := since[uid]
	return holds && at <= r.began
}

// nodeOf names the node of a pod that the look has seen; empty if it has seen none.
func (r *replica) nodeOf(uid types.UID) string {
	for _, p := range r.seen.Pods {
		if p.UID == uid {
			return p.Spec.NodeName
		}
	}
	return ""
}

// selectedAllTheWhile reports whether all Services of the election have selected the pod
// since before the look began.
func (r *replica) selectedAllTheWhile(uid types.UID) bool {
	pod := r.world.pods.uid(uid)
	return pod != nil && version(pod) <= r.began && !slices.ContainsFunc(takers(r.seen.Services), func(s *corev1.Service) bool {
		live := r.world.services.all[s.Name]
		return live == nil || live.UID != s.UID || version(live) > r.began || !api.Selects(live, pod.Labels)
	})
}

// checkNeeded is for a decision that a replica acts on: it must rest
// on the pods and nodes of the API server, not on those of a cache that is behind.
func (w *world) checkNeeded(by *replica, former, holder types.UID) {
	d := by.decision
	switch {
	case former == "" || former == holder:
	case d.Action == election.Switchover && by.allTheWhile(w.unable, holder):
		w.fail("replica %d moves the master to %s, which could not be master all the while", by.number, holder)
	case d.Action == election.Failover && slices.Contains([]election.Reason{election.HolderNotReady, election.HolderExcluded, election.HolderGone, election.HolderUnselected}, d.Reason) &&
		by.allTheWhile(w.able, former) && by.selectedAllTheWhile(former):
		w.fail("replica %d moves the master from %s, which could be master all the while: %s", by.number, former, d.Reason)
	}
	if d.Reason == election.HigherPriority && former != "" && former != holder {
		from, to := w.pods.uid(former), w.pods.uid(holder)
		if from != nil && to != nil && version(from) <= by.began && version(to) <= by.began && w.claimed <= by.began {
			was, claimed := by.priorityOf(from)
			is, claims := by.priorityOf(to)
			if is <= was {
				w.fail("replica %d moves the master from %s of priority %d to %s of priority %d", by.number, former, was, holder, is)
			}
			if (claimed || claims) && (by.probes[from.UID] != probe.Answering || by.probes[to.UID] != probe.Answering) {
				w.fail("replica %d moves the master from %s to %s for a priority that one of them claims, and does not hear both", by.number, former, holder)
			}
		}
		if by.seen.Settings().Failback == nil {
			w.fail("replica %d moves the master to %s for its priority, and nobody asks for that", by.number, holder)
		}
	}
	if former != holder {
		switch node := by.nodeOf(former); {
		case d.Reason == election.NodeUnschedulable && by.allTheWhile(w.able, types.UID(node)):
			w.fail("replica %d moves the master from %s, whose node was not cordoned all the while", by.number, former)
		case d.Reason == election.NodeGone && by.allTheWhile(w.able, existence(node)):
			w.fail("replica %d moves the master from %s, whose node existed all the while", by.number, former)
		case d.Reason == election.NodeSilent && by.allTheWhile(w.able, by.hearing(node)):
			w.fail("replica %d moves the master from %s, whose node lived all the while", by.number, former)
		case d.Action == election.Switchover && by.allTheWhile(w.unable, by.hearing(by.nodeOf(holder))):
			w.fail("replica %d moves the master to %s, whose node was dead all the while", by.number, holder)
		}
	}
	if d.Refused != nil && slices.Contains([]election.Reason{election.HolderNotReady, election.HolderExcluded, election.HolderTerminating}, d.Refused.Why) {
		if pod := w.pods.all[d.Refused.Holder]; pod != nil && by.allTheWhile(w.able, pod.UID) {
			w.fail("replica %d refuses %s, which could be master all the while: %s", by.number, pod.UID, d.Refused.Why)
		}
	}
}

// priorityOf returns the priority that the pod claims, if the replica hears it, or else what it is annotated
// with.
func (r *replica) priorityOf(pod *corev1.Pod) (number int64, claimed bool) {
	if claim := r.world.claims[pod.UID]; r.probes[pod.UID] == probe.Answering && claim != "" && claim != unreadable {
		number, err := strconv.ParseInt(claim, 10, 64)
		return number, err == nil
	}
	number, _ = api.Priority(pod)
	return number, false
}

// checkPromoted is for what a replica makes of a pod: one that becomes active does so only
// after the others that the replica has seen to be active. A designation without a stamp is left on a
// pod that no Service selects: it may be the last master of a Service that only observed meanwhile.
func (w *world) checkPromoted(by *replica, pod *corev1.Pod) {
	if by.seen == nil || pod.Labels[api.LabelDesignation] != api.DesignationActive || w.pods.all[pod.Name].Labels[api.LabelDesignation] == api.DesignationActive {
		return
	}
	for _, other := range by.seen.Pods {
		live := w.pods.all[other.Name]
		if other.UID != pod.UID && other.Labels[api.LabelDesignation] == api.DesignationActive && !other.Elsewhere &&
			(!other.Unselected || observation.Stamp(other) >= 0) &&
			observation.Stamp(other) <= observation.Stamp(pod) && live != nil && live.ResourceVersion == other.ResourceVersion {
			w.fail("replica %d makes %s active while %s is", by.number, pod.UID, other.UID)
		}
	}
}

// checkDetached is for a Service of which a replica lets Kubernetes publish nothing: then
// there are slices of the controller's, unless somebody has just deleted them, or Kubernetes
// lists a pod that is not the holder, beside which there must be none.
func (w *world) checkDetached(by *replica, s *corev1.Service) {
	_, before := w.services.all[s.Name].Spec.Selector[api.LabelRouting]
	_, now := s.Spec.Selector[api.LabelRouting]
	if before || !now || isOpen(w.services.all[s.Name]) || len(w.slicesOf(s.Name, true)) > 0 || w.unlisted > by.began {
		return
	}
	for _, m := range by.seen.Members {
		another := false
		for uid := range m.Listed {
			another = another || uid != by.decision.HolderUID
		}
		if m.UID == s.UID && !another {
			w.fail("replica %d lets Kubernetes publish nothing of Service %s before there is another slice", by.number, s.Name)
		}
	}
}

// checkPointed is for a Service that a replica points at a pod: that pod carries its
// identity label by then, and no other pod that the replica has seen does.
func (w *world) checkPointed(by *replica, s *corev1.Service) {
	uid := s.Spec.Selector[api.LabelPodUID]
	if isOpen(w.services.all[s.Name]) {
		// It is closed whatever else fails.
		return
	}
	if uid == "" || uid == api.NoPod || uid == w.services.all[s.Name].Spec.Selector[api.LabelPodUID] || by.seen == nil {
		return
	}
	for _, seen := range by.seen.Pods {
		live := w.pods.all[seen.Name]
		switch {
		case live == nil || live.UID != seen.UID || seen.Unselected:
		case string(live.UID) == uid && live.Labels[api.LabelPodUID] != uid && live.ResourceVersion == seen.ResourceVersion:
			w.fail("replica %d points Service %s at %s before that carries its identity label", by.number, s.Name, uid)
		case string(live.UID) != uid && live.Labels[api.LabelPodUID] == uid && live.ResourceVersion == seen.ResourceVersion:
			w.fail("replica %d points Service %s at %s while %s carries its identity label", by.number, s.Name, uid, live.UID)
		}
	}
}
