package routing

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
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
	// Slices are the EndpointSlices of the Service that are the controller's own.
	Slices []*discoveryv1.EndpointSlice
	// Listed are the pods in those of Kubernetes' controller, true if they are
	// ready. It is needed of a member that is GoingOver alone.
	Listed map[types.UID]bool
	// by is the routing that Begin has found it in.
	by api.Routing
}

// Pod is a pod that the election's Services select or selected.
type Pod struct {
	*corev1.Pod
	// Unselected: it is no candidate, so that it carries no marks.
	Unselected bool
	// Elsewhere: its designation is another election's to write.
	Elsewhere bool
	// Zone is that of its node, empty if unknown. It is needed of the holder alone.
	Zone string
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
	// PhaseDetach ends what another routing publishes, once this one does.
	PhaseDetach
	// PhaseDemote takes the designation from every other pod.
	PhaseDemote
	// PhasePromote designates the holder.
	PhasePromote
	// PhasePublish lets Kubernetes' controller list the holder again.
	PhasePublish
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

// Next returns the first phase that is not yet written, and its changes, which
// may be sent in any order. After Begin it is called again and again with the
// results, until PhaseDone. An object that is stamped with a later epoch is left alone: then
// the assignment is out of date, not the object.
func Next(a Assignment, members []Member, pods []Pod) (Phase, []Change) {
	phases := [PhaseDone][]Change{}
	add := func(phase Phase, p Change) {
		if phase < PhaseDone && !p.Empty() {
			phases[phase] = append(phases[phase], p)
		}
	}
	holder := holderOf(a, pods)
	identify, last := false, PhaseTidy
	for _, m := range members {
		identify = identify || m.by == api.RoutingSelector || m.Settings.Routing == api.RoutingSelector
		if m.epoch() <= a.Epoch {
			add(service(a, m))
			if sliceChanges(a, m, holder, add) {
				last = PhaseDetach
			}
		}
	}
	for _, pod := range pods {
		// The stamp of a pod that is designated elsewhere is not this election's.
		if !pod.Elsewhere && Stamp(pod) > a.Epoch {
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
		identity := changeOf(KindPod, pod)
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
	for phase, changes := range phases[:last+1] {
		if len(changes) > 0 {
			return Phase(phase), changes
		}
	}
	return PhaseDone, nil
}

func wronglyIdentified(pod Pod) bool {
	value, found := pod.Labels[api.LabelPodUID]
	return found && value != string(pod.UID)
}

// holderOf is nil if there is no such pod among the candidates.
func holderOf(a Assignment, pods []Pod) *Pod {
	i := slices.IndexFunc(pods, func(p Pod) bool { return p.UID == a.HolderUID && !p.Unselected })
	if i < 0 {
		return nil
	}
	return &pods[i]
}

// service is what the member's Service should say.
func service(a Assignment, m Member) (Phase, Change) {
	switch {
	case m.Settings.Selectorless, m.by == api.RoutingLabel && m.by != m.Settings.Routing:
		return PhaseDone, Change{}
	case m.by == api.RoutingLabel:
		// It is not patched, but for what another routing left: as long as that is
		// there nobody gets traffic whom it does not let.
		c := ReleaseService(m.Service)
		unset(c.Selector, m.Spec.Selector, api.LabelRouting)
		return PhasePublish, c
	}
	c := changeOf(KindService, m)
	set(c.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
	if m.by == api.RoutingEndpointSlice {
		if m.by == m.Settings.Routing {
			set(c.Selector, m.Spec.Selector, api.LabelRouting, string(api.RoutingEndpointSlice))
			unset(c.Selector, m.Spec.Selector, api.LabelPodUID)
		}
		if len(c.Selector) == 0 {
			return PhaseTidy, c
		}
		return PhaseDetach, c
	}
	set(c.Selector, m.Spec.Selector, api.LabelPodUID, selected(a))
	unset(c.Selector, m.Spec.Selector, api.LabelRouting)
	if Detached(m.Service) {
		return PhasePublish, c
	}
	return PhaseRoute, c
}

// selected is the identity label that routing by selector selects.
func selected(a Assignment) string {
	if a.HolderUID == "" {
		return api.NoPod
	}
	return string(a.HolderUID)
}

// podMarks is what a pod should carry. A standby's stamp is not renewed, so
// that a transition writes to two pods and not to all.
func podMarks(a Assignment, pod Pod, identify bool) Change {
	p := changeOf(KindPod, pod)
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

func unsetDeletionCost(p Change, pod *corev1.Pod) {
	if pod.Annotations[api.AnnotationDeletionCost] == api.MasterDeletionCost {
		unset(p.Annotations, pod.Annotations, api.AnnotationDeletionCost)
	}
}

func formatEpoch(epoch int32) string { return strconv.FormatInt(int64(epoch), 10) }

// epoch is the highest that the member's Service or slices are stamped with.
func (m Member) epoch() int32 {
	highest := Stamp(m)
	for _, s := range m.Slices {
		highest = max(highest, Stamp(s))
	}
	return highest
}

// Stamp is the epoch that an object was last written for; -1 if it has none that can be
// read.
func Stamp(object interface{ GetAnnotations() map[string]string }) int32 {
	value, err := strconv.ParseInt(object.GetAnnotations()[api.AnnotationLeaseTransitions], 10, 32)
	if err != nil || int32(value) > api.MaxEpoch {
		return -1
	}
	return int32(value)
}
