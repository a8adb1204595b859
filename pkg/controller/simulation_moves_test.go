package controller

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// waits reports whether no pod must become master before the former one has stopped.
func waits(s *corev1.Service) bool {
	said, found := s.Annotations[api.AnnotationHandover]
	return found && said != api.HandoverImmediate
}

// rate takes down since when a pod could be master, or a node is not cordoned; or no longer.
func (w *world) rate(o any, exists bool) {
	var uid types.UID
	able := false
	switch o := o.(type) {
	case *corev1.Pod:
		may, _ := api.Candidate(o)
		uid, able = o.UID, exists && may && observation.Ready(o) && observation.Active(o)
	case *corev1.Node:
		uid, able = types.UID(o.Name), exists && !o.Spec.Unschedulable
	default:
		return
	}
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

// selects reports whether all Services of the election that the look has decided on select
// the pod as it is now.
func (r *replica) selects(uid types.UID) bool {
	pod := r.world.pods.uid(uid)
	return pod != nil && !slices.ContainsFunc(r.seen.Services, func(s *corev1.Service) bool { return !api.Selects(s, pod.Labels) })
}

// checkNeeded is for a decision that a replica acts on: it must rest
// on the pods and nodes of the API server, not on those of a cache that is behind.
func (w *world) checkNeeded(by *replica, former, holder types.UID) {
	d := by.decision
	switch {
	case former == "" || former == holder:
	case d.Reason == election.NodeUnschedulable && !w.mended[cordonedAndBehind]:
	case d.Action == election.Switchover && by.allTheWhile(w.unable, holder):
		w.fail("replica %d moves the master to %s, which could not be master all the while", by.number, holder)
	case d.Action == election.Failover && slices.Contains([]election.Reason{election.HolderNotReady, election.HolderExcluded, election.HolderGone}, d.Reason) && by.allTheWhile(w.able, former) && by.selects(former):
		w.fail("replica %d moves the master from %s, which could be master all the while: %s", by.number, former, d.Reason)
	}
	if d.Reason == election.NodeUnschedulable && former != holder {
		if pod := w.pods.uid(former); pod != nil && by.allTheWhile(w.able, types.UID(pod.Spec.NodeName)) {
			w.fail("replica %d moves the master from %s, whose node was not cordoned all the while", by.number, former)
		}
	}
	if d.Refused != nil && slices.Contains([]election.Reason{election.HolderNotReady, election.HolderExcluded, election.HolderTerminating}, d.Refused.Why) {
		if pod := w.pods.all[d.Refused.Holder]; pod != nil && by.allTheWhile(w.able, pod.UID) {
			w.fail("replica %d refuses %s, which could be master all the while: %s", by.number, pod.UID, d.Refused.Why)
		}
	}
}
