package routing

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// Assignment is what the Lease says.
type Assignment struct {
	// HolderUID is empty while there has not been a master.
	HolderUID types.UID
	Epoch     int32
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

// Plan is what has to be written for an assignment, and what was written of it so far.
// It is of one reconciliation; its methods must not be called concurrently.
type Plan struct {
	assignment Assignment
	members    []member
	pods       []observation.Pod
	zone       string
	reverted   map[types.UID]Reversion
}

// NewPlan returns a plan for the members and pods as they were just observed.
func NewPlan(a Assignment, members []observation.Member, pods []observation.Pod) *Plan {
	p := &Plan{assignment: a, pods: slices.Clone(pods), reverted: map[types.UID]Reversion{}}
	holder := p.holder()
	for _, m := range members {
		p.members = append(p.members, newMember(a, m, holder))
		if r, found := reversion(a, m); found {
			p.reverted[m.UID] = r
		}
	}
	return p
}

// ZoneWanted returns the node whose zone an endpoint will name, because no slice has
// it yet; empty if none is needed.
func (p *Plan) ZoneWanted() (node string) {
	holder := p.holder()
	if holder == nil {
		return ""
	}
	for _, m := range p.members {
		if m.HasSlices() && m.zoneOf(holder) == "" {
			return holder.Spec.NodeName
		}
	}
	return ""
}

// SetZone tells the zone of the node that ZoneWanted has named.
func (p *Plan) SetZone(zone string) { p.zone = zone }

// Migrating reports whether a member is on its way from one routing to another. Then
// PhaseDone is not the end: Kubernetes' controller has to follow first.
func (p *Plan) Migrating() bool {
	return slices.ContainsFunc(p.members, func(m member) bool { return m.Migrating() })
}

// Routed reports whether traffic goes to the holder once all phases before this one are
// written.
func (p *Plan) Routed(phase Phase) bool {
	with := PhaseRoute
	if slices.ContainsFunc(p.members, func(m member) bool { return m.Settings.Routing == api.RoutingLabel }) {
		with = PhasePromote
	}
	return phase > with && !p.Migrating()
}

// Next returns the first phase that is not yet written, and its changes, which
// may be sent in any order. The caller tells Applied of each that succeeded, and calls
// Next again, until PhaseDone. An object that is stamped with a later epoch is left
// alone: then the assignment is out of date, not the object.
func (p *Plan) Next() (Phase, []Change) {
	phases := [PhaseDone][]Change{}
	add := func(phase Phase, c Change) {
		if phase < PhaseDone && !c.Empty() {
			phases[phase] = append(phases[phase], c)
		}
	}
	holder := p.holder()
	identify, last := false, PhaseTidy
	for _, m := range p.members {
		identify = identify || m.inForce == api.RoutingSelector || m.Settings.Routing == api.RoutingSelector
		if m.epoch() <= p.assignment.Epoch {
			add(serviceChange(p.assignment, m))
			if sliceChanges(p.assignment, m, holder, p.zone, add) {
				last = PhaseDetach
			}
		}
	}
	for _, pod := range p.pods {
		p.podChanges(pod, identify, add)
	}
	for phase, changes := range phases[:last+1] {
		if len(changes) > 0 {
			return Phase(phase), changes
		}
	}
	return PhaseDone, nil
}

// podChanges adds what the pod must carry.
func (p *Plan) podChanges(pod observation.Pod, identify bool, add func(Phase, Change)) {
	a := p.assignment
	// The stamp of a pod that is designated elsewhere is not this election's.
	if !pod.Elsewhere && observation.Stamp(pod) > a.Epoch {
		return
	}
	active := pod.Labels[api.LabelDesignation] == api.DesignationActive
	if pod.Unselected {
		if !pod.Elsewhere && active {
			add(PhaseDemote, ReleasePod(pod.Pod))
		} else if !pod.Elsewhere {
			add(PhaseTidy, ReleasePod(pod.Pod))
		}
		return
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

// Applied takes up the result of a change; nil means that the object is gone. It returns
// what another writer had done that the change has put back, nil if nothing.
func (p *Plan) Applied(c Change, result runtime.Object) *Reversion {
	switch c.Kind {
	case KindService:
		for i := range p.members {
			if service, ok := result.(*corev1.Service); ok && p.members[i].UID == service.UID {
				p.members[i].Service = service
			}
		}
	case KindPod:
		pod, _ := result.(*corev1.Pod)
		p.replacePod(c.Name, pod)
	case KindEndpointSlice:
		slice, _ := result.(*discoveryv1.EndpointSlice)
		p.replaceSlice(c.Name, slice)
	}
	r, found := p.reverted[c.UID]
	if !found {
		return nil
	}
	delete(p.reverted, c.UID)
	return &r
}

func (p *Plan) replacePod(name string, now *corev1.Pod) {
	i := slices.IndexFunc(p.pods, func(pod observation.Pod) bool { return pod.Name == name })
	switch {
	case i < 0:
	case now == nil:
		p.pods = slices.Delete(p.pods, i, i+1)
	default:
		p.pods[i].Pod = now
	}
}

func (p *Plan) replaceSlice(name string, now *discoveryv1.EndpointSlice) {
	for i := range p.members {
		m := &p.members[i]
		m.Slices = slices.DeleteFunc(slices.Clone(m.Slices), func(s *discoveryv1.EndpointSlice) bool { return s.Name == name })
		if now != nil && observation.ServiceOf(now).Name == m.Name {
			m.Slices = append(m.Slices, now)
		}
	}
}

// Pod returns a pod of the election as it is by what was written so far; nil if there is
// none with the UID.
func (p *Plan) Pod(uid types.UID) *observation.Pod {
	i := slices.IndexFunc(p.pods, func(pod observation.Pod) bool { return pod.UID == uid })
	if i < 0 {
		return nil
	}
	return &p.pods[i]
}

// holder is nil if it is not among the candidates.
func (p *Plan) holder() *observation.Pod {
	if pod := p.Pod(p.assignment.HolderUID); pod != nil && !pod.Unselected {
		return pod
	}
	return nil
}

func wronglyIdentified(pod observation.Pod) bool {
	value, found := pod.Labels[api.LabelPodUID]
	return found && value != string(pod.UID)
}

// serviceChange is what the member's Service must say.
func serviceChange(a Assignment, m member) (Phase, Change) {
	switch {
	case m.Settings.Selectorless, m.inForce == api.RoutingLabel && m.inForce != m.Settings.Routing:
		return PhaseDone, Change{}
	case m.inForce == api.RoutingLabel:
		// It is not patched, but for what another routing left: as long as that is
		// there nobody gets traffic whom it does not let.
		c := ReleaseService(m.Service)
		unset(c.Selector, m.Spec.Selector, api.LabelRouting)
		return PhasePublish, c
	}
	c := changeOf(KindService, m)
	set(c.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(a.Epoch))
	if m.inForce == api.RoutingEndpointSlice {
		if m.inForce == m.Settings.Routing {
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
	if observation.Detached(m.Service) {
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
func podMarks(a Assignment, pod observation.Pod, identify bool) Change {
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
func (m member) epoch() int32 {
	highest := observation.Stamp(m)
	for _, s := range m.Slices {
		highest = max(highest, observation.Stamp(s))
	}
	return highest
}
