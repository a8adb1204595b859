package routing

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Assignment is what the Lease says.
type Assignment struct {
	// HolderUID is empty while there has not been a master.
	HolderUID types.UID
	Epoch     int32
}

// Member is a Service of an election.
type Member struct {
	*corev1.Service
	Settings api.Settings
}

// Pod is a pod that the election's Services select or selected.
type Pod struct {
	*corev1.Pod
	// Unselected: it is no candidate, so that it carries no marks.
	Unselected bool
	// Elsewhere: its designation is another election's to write.
	Elsewhere bool
}

// Phase is a part of a switch. A later one must not begin before the earlier
// ones are written.
type Phase int

// The phases, in order.
const (
	// PhaseCorrect gives pods that carry another's identity label their own, so
	// that none passes for the holder.
	PhaseCorrect Phase = iota
	// PhaseIdentify gives the holder its identity label.
	PhaseIdentify
	// PhaseRoute points the Services at the holder.
	PhaseRoute
	// PhaseDemote takes the designation from every other pod.
	PhaseDemote
	// PhasePromote designates the holder.
	PhasePromote
	// PhaseTidy does what no traffic depends on.
	PhaseTidy
	// PhaseDone: nothing is left to be written.
	PhaseDone
)

// Routed is the phase with which traffic goes to the holder.
func Routed(members []Member) Phase {
	for _, m := range members {
		if m.Settings.Routing == api.RoutingLabel {
			return PhasePromote
		}
	}
	return PhaseRoute
}

// Next returns the first phase that is not yet written, and its patches, which
// may be sent in any order. It is called again with the results, until
// PhaseDone. An object that is stamped with a later epoch is left alone: then
// the assignment is out of date, not the object.
func Next(a Assignment, members []Member, pods []Pod) (Phase, []Patch) {
	identify := false
	for _, m := range members {
		identify = identify || m.Settings.Routing == api.RoutingSelector
	}
	phases := [PhaseDone][]Patch{}
	add := func(phase Phase, p Patch) {
		if !p.Empty() {
			phases[phase] = append(phases[phase], p)
		}
	}
	for _, m := range members {
		if epoch(m) <= a.Epoch {
			add(PhaseRoute, service(a, m))
		}
	}
	for _, pod := range pods {
		// The stamp of a pod that is designated elsewhere is not this election's.
		if !pod.Elsewhere && epoch(pod) > a.Epoch {
			continue
		}
		active := pod.Labels[api.LabelDesignation] == api.DesignationActive
		if pod.Unselected {
			if !pod.Elsewhere && active {
				add(PhaseDemote, ReleasePod(pod.Pod))
			} else if !pod.Elsewhere {
				add(PhaseTidy, ReleasePod(pod.Pod))
			}
			continue
		}
		holder := pod.UID == a.HolderUID
		identity := patchOf(KindPod, pod)
		set(identity.Labels, pod.Labels, api.LabelPodUID, string(pod.UID))
		switch {
		case identify && wronglyIdentified(pod):
			add(PhaseCorrect, identity)
		case identify && holder:
			add(PhaseIdentify, identity)
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
	for phase, patches := range phases {
		if len(patches) > 0 {
			return Phase(phase), patches
		}
	}
	return PhaseDone, nil
}

func wronglyIdentified(pod Pod) bool {
	value, found := pod.Labels[api.LabelPodUID]
	return found && value != string(pod.UID)
}

func service(a Assignment, m Member) Patch {
	p := patchOf(KindService, m)
	if m.Settings.Routing == api.RoutingLabel {
		// It is not patched, but for what another routing left.
		return ReleaseService(m.Service)
	}
	target := string(a.HolderUID)
	if target == "" {
		target = api.NoPod
	}
	set(p.Selector, m.Spec.Selector, api.LabelPodUID, target)
	set(p.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
	return p
}

// podMarks is what a pod should carry. A standby's stamp is not renewed, so
// that a transition writes to two pods and not to all.
func podMarks(a Assignment, pod Pod, identify bool) Patch {
	p := patchOf(KindPod, pod)
	if identify {
		set(p.Labels, pod.Labels, api.LabelPodUID, string(pod.UID))
	}
	if pod.Elsewhere {
		return p
	}
	if pod.UID == a.HolderUID {
		set(p.Labels, pod.Labels, api.LabelDesignation, api.DesignationActive)
		set(p.Annotations, pod.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
		if _, found := pod.Annotations[api.AnnotationDeletionCost]; !found {
			set(p.Annotations, pod.Annotations, api.AnnotationDeletionCost, api.MasterDeletionCost)
		}
		return p
	}
	set(p.Labels, pod.Labels, api.LabelDesignation, api.DesignationStandby)
	if _, stamped := pod.Annotations[api.AnnotationLeaseTransitions]; !stamped || len(p.Labels) > 0 {
		set(p.Annotations, pod.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
	}
	unsetDeletionCost(p, pod.Pod)
	return p
}

func unsetDeletionCost(p Patch, pod *corev1.Pod) {
	if pod.Annotations[api.AnnotationDeletionCost] == api.MasterDeletionCost {
		unset(p.Annotations, pod.Annotations, api.AnnotationDeletionCost)
	}
}

func formatEpoch(epoch int32) string { return strconv.FormatInt(int64(epoch), 10) }

// epoch reads the stamp of an object; -1 if it has none that can be read.
func epoch(object interface{ GetAnnotations() map[string]string }) int32 {
	value, err := strconv.ParseInt(object.GetAnnotations()[api.AnnotationLeaseTransitions], 10, 32)
	if err != nil || int32(value) > api.MaxEpoch {
		return -1
	}
	return int32(value)
}
