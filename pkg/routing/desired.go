package routing

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// What a Service and a pod must carry. What their EndpointSlices must be is in slices.go.

// serviceChange returns what the member's Service must say, and the phase to write it in.
// traced is the highest epoch with which the election's pods are stamped.
func serviceChange(a Assignment, m member, traced int32) (Phase, Change) {
	c := changeOf(KindService, m)
	if m.Settings.Selectorless {
		// It had a selector, and migrated, when it was labelled.
		unset(c.Labels, m.Labels, api.LabelMigrating)
		return PhaseTidy, c
	}
	phase := PhaseRoute
	switch {
	case m.inForce == api.RoutingLabel && m.Settings.Routing == api.RoutingLabel:
		// The Service is patched only to take away a key that another routing has left in
		// its selector. That comes late: until then only pods with that key get traffic.
		c = ReleaseService(m.Service)
		if observation.Stamp(m) > traced {
			// The stamp is the last trace of an epoch.
			delete(c.Annotations, api.AnnotationLeaseTransitions)
		}
		unset(c.Selector, m.Spec.Selector, api.LabelRouting)
		phase = PhasePublish
	case m.inForce == api.RoutingEndpointSlice:
		set(c.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
		if m.inForce == m.Settings.Routing {
			set(c.Selector, m.Spec.Selector, api.LabelRouting, string(api.RoutingEndpointSlice))
			unset(c.Selector, m.Spec.Selector, api.LabelPodUID)
		}
		if phase = PhaseDetach; len(c.Selector) == 0 {
			phase = PhaseTidy
		}
	case m.inForce == api.RoutingSelector:
		set(c.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
		set(c.Selector, m.Spec.Selector, api.LabelPodUID, selected(a))
		unset(c.Selector, m.Spec.Selector, api.LabelRouting)
		if observation.Detached(m.Service) {
			phase = PhasePublish
		}
	}
	if labelMigration(a, m, c) && len(c.Selector)+len(c.Annotations) == 0 {
		phase = PhaseTidy
	}
	return phase, c
}

// labelMigration labels the Service while Kubernetes' controller publishes it beside own
// slices, or is about to. It reports whether the label is not needed.
func labelMigration(a Assignment, m member, c Change) (needless bool) {
	delete(c.Labels, api.LabelMigrating)
	switch stateOf(m) {
	case reserving, leaving, returning:
		if m.inForce != api.RoutingEndpointSlice {
			set(c.Labels, m.Labels, api.LabelMigrating, formatEpoch(a.Epoch))
		}
		return false
	}
	unset(c.Labels, m.Labels, api.LabelMigrating)
	return true
}

// selected returns the identity label that routing by selector selects.
func selected(a Assignment) string {
	if a.HolderUID == "" {
		return api.NoPod
	}
	return string(a.HolderUID)
}

// podChanges adds what the pod must carry. With identify it carries its identity label. lease is
// the name of the election's Lease.
func podChanges(a Assignment, pod observation.Pod, identify bool, lease string, add func(Phase, Change)) {
	// The stamp of a pod that another election designates is that election's.
	if !pod.Elsewhere && observation.PodStamp(pod.Pod) > a.Epoch {
		return
	}
	active := pod.Labels[api.LabelDesignation] == api.DesignationActive
	holder := pod.UID == a.HolderUID
	identity := changeOf(KindPod, pod)
	set(identity.Labels, pod.Labels, api.LabelPodUID, string(pod.UID))
	switch {
	case identify && wronglyIdentified(pod) && (pod.Served || !pod.Unselected):
		add(PhaseCorrect, identity)
	case identify && holder && (!pod.Unselected || pod.Kept):
		add(PhaseIdentify, identity)
	}
	if pod.Unselected && !pod.Kept {
		c := ReleasePod(pod.Pod)
		if pod.Served {
			delete(c.Labels, api.LabelPodUID)
		}
		if holder {
			// They may be the last trace of its epoch. Another look may see the Services as they are
			// now, and the pod as a candidate.
			delete(c.Annotations, api.AnnotationLeaseTransitions)
			delete(c.Annotations, api.AnnotationWitness)
			if held := observation.Held(pod.Pod); held >= 0 && !pod.Elsewhere && observation.MasterOf(pod.Pod) == "" {
				// With the Lease gone, nothing else may tell that it was master. Of two elections with the
				// same master the first to write it stays: they must not write in turns.
				set(c.Annotations, pod.Annotations, api.AnnotationWitness, witnessOf(pod.Pod, held)+"/"+lease)
			}
		}
		switch {
		case pod.Elsewhere:
		case active:
			add(PhaseDemote, c)
		default:
			add(PhaseTidy, c)
		}
		return
	}
	switch {
	case holder:
		add(PhasePromote, podMarks(a, pod, identify))
	case active && !pod.Elsewhere:
		add(PhaseDemote, podMarks(a, pod, identify))
	default:
		add(PhaseTidy, podMarks(a, pod, identify))
	}
}

// wronglyIdentified reports whether the pod carries another pod's identity label.
func wronglyIdentified(pod observation.Pod) bool {
	value, found := pod.Labels[api.LabelPodUID]
	return found && value != string(pod.UID)
}

// podMarks returns the marks that the pod lacks. A standby's stamp is not renewed, so
// that a transition writes to two pods and not to all.
func podMarks(a Assignment, pod observation.Pod, identify bool) Change {
	c := changeOf(KindPod, pod)
	if identify {
		set(c.Labels, pod.Labels, api.LabelPodUID, string(pod.UID))
	}
	if pod.Elsewhere {
		return c
	}
	if pod.UID == a.HolderUID {
		set(c.Labels, pod.Labels, api.LabelDesignation, api.DesignationActive)
		stamp(c, pod.Pod, a.Epoch, a.Epoch)
		if _, found := pod.Annotations[api.AnnotationDeletionCost]; !found {
			set(c.Annotations, pod.Annotations, api.AnnotationDeletionCost, api.MasterDeletionCost)
		}
		return c
	}
	set(c.Labels, pod.Labels, api.LabelDesignation, api.DesignationStandby)
	if observation.PodStamp(pod.Pod) < 0 || len(c.Labels) > 0 {
		held := observation.Held(pod.Pod)
		if held >= a.Epoch {
			// The epoch is the holder's.
			held = -1
		}
		stamp(c, pod.Pod, a.Epoch, held)
	}
	unsetDeletionCost(c, pod.Pod)
	return c
}

// stamp adds the stamp, and the pod's witness of it; held is the epoch in which the pod was
// master last, -1 for none.
func stamp(c Change, pod *corev1.Pod, epoch, held int32) {
	set(c.Annotations, pod.Annotations, api.AnnotationLeaseTransitions, formatEpoch(epoch))
	set(c.Annotations, pod.Annotations, api.AnnotationWitness, witnessOf(pod, held))
}

func witnessOf(pod *corev1.Pod, held int32) string {
	if held < 0 {
		return string(pod.UID)
	}
	return string(pod.UID) + "@" + formatEpoch(held)
}

// unsetDeletionCost removes a deletion cost that the controller has set; a user's stays.
func unsetDeletionCost(c Change, pod *corev1.Pod) {
	if pod.Annotations[api.AnnotationDeletionCost] == api.MasterDeletionCost {
		unset(c.Annotations, pod.Annotations, api.AnnotationDeletionCost)
	}
}

func formatEpoch(epoch int32) string { return strconv.FormatInt(int64(epoch), 10) }
