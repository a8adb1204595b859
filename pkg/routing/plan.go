package routing

import (
	"cmp"
	"slices"
	"strings"

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

// Phase is a part of a switch. A later phase must not begin before the earlier ones
// are written.
type Phase int

// The phases, in order.
const (
	// PhaseCorrect gives pods that carry another pod's identity label their own, so
	// that none of them passes for the holder.
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

// Plan is what must be written for an assignment, and what was written of it so far.
// It serves one reconciliation; its methods must not be called concurrently.
type Plan struct {
	assignment Assignment
	members    []member
	pods       []observation.Pod
	reverted   map[types.UID]Reversion
	// failed are the phases of which a change was not written.
	failed map[Phase]bool
}

// NewPlan returns a plan for the members and pods as they were just observed. It changes
// neither. Nothing must be written for members that only observe.
func NewPlan(a Assignment, members []observation.Member, pods []observation.Pod) *Plan {
	if slices.ContainsFunc(members, func(m observation.Member) bool { return api.Observes(m.Service) }) {
		members, pods = nil, nil
	}
	p := &Plan{assignment: a, pods: slices.Clone(pods), reverted: map[types.UID]Reversion{}, failed: map[Phase]bool{}}
	holder := p.holder()
	for _, m := range members {
		routed := newMember(a, m, m.Routes(holder))
		p.members = append(p.members, routed)
		if r, found := reversion(a, m, m.Routes(holder)); found && !p.mistakable(routed) {
			p.reverted[m.UID] = r
		}
	}
	return p
}

// Migrating reports whether a member is on its way from one routing to another. Then
// PhaseDone is not the end: Kubernetes' controller must follow first.
func (p *Plan) Migrating() bool {
	return slices.ContainsFunc(p.members, func(m member) bool { return m.Migrating() })
}

// Routed reports whether traffic goes to the holder once all phases before this one are
// written.
func (p *Plan) Routed(phase Phase) bool {
	with := PhaseRoute
	if slices.ContainsFunc(p.members, func(m member) bool { return m.ByLabel() }) {
		with = PhasePromote
	}
	for failed := range p.failed {
		if failed <= with {
			return false
		}
	}
	return phase > with && !p.Migrating()
}

// Traces returns the changes of which any records that the epoch was given out: one for each
// candidate, and, for where a policy denies all of these, one for each Service that leads to no
// pod: of another the stamp would tell that its pod held the epoch. A Service that has yet to be
// routed by selector is closed with it: a stamp without the key would tell that another writer has
// taken the key away. They are in the order in which all replicas try them: of two replicas that
// do, one gets a conflict.
func (p *Plan) Traces(epoch int32) (changes []Change) {
	for _, pod := range p.pods {
		if !pod.Elsewhere && !pod.Unselected && observation.PodStamp(pod.Pod) < epoch {
			c := changeOf(KindPod, pod)
			stamp(c, pod.Pod, epoch, observation.Held(pod.Pod))
			changes = append(changes, c)
		}
	}
	for _, m := range p.members {
		to, selects := m.Spec.Selector[api.LabelPodUID]
		if !m.Settings.Selectorless && observation.Stamp(m) < epoch && (!selects || to == api.NoPod) {
			c := changeOf(KindService, m)
			set(c.Annotations, m.Annotations, api.AnnotationLeaseTransitions, formatEpoch(epoch))
			if !selects && m.inForce == api.RoutingSelector {
				set(c.Selector, m.Spec.Selector, api.LabelPodUID, api.NoPod)
			}
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name))
	})
	return changes
}

// Open reports whether Kubernetes' controller publishes all pods of a member, because its
// selector does not name one.
func (p *Plan) Open() bool { return slices.ContainsFunc(p.members, member.open) }

// Failed records that a change of the phase was not written. Next then goes on with what
// does not depend on it.
func (p *Plan) Failed(phase Phase) { p.failed[phase] = true }

// heldUp reports whether a change depends on one that was not written. An open Service is
// closed whatever else fails: it then has no endpoint, but not all its pods.
func (p *Plan) heldUp(phase Phase, c Change) bool {
	opened := slices.ContainsFunc(p.members, func(m member) bool { return m.UID == c.UID && m.open() })
	unidentified := p.failed[PhaseCorrect] || p.failed[PhaseIdentify]
	switch phase {
	case PhaseRoute:
		closed := slices.ContainsFunc(p.members, func(m member) bool { return m.UID == c.UID && p.closed(m) })
		return c.Kind == KindService && unidentified && !opened && !closed
	case PhaseDetach:
		return (p.failed[PhaseCorrect] || p.failed[PhaseRoute]) && !opened
	case PhasePromote:
		return p.failed[PhaseDemote]
	case PhasePublish:
		return unidentified || p.failed[PhaseRoute] || p.failed[PhaseDemote] || p.failed[PhasePromote]
	}
	return false
}

// mistakable reports whether another pod of the member carries the holder's identity label. A
// Service that is routed by selector lists both.
func (p *Plan) mistakable(m member) bool {
	return m.inForce == api.RoutingSelector && p.assignment.HolderUID != "" && slices.ContainsFunc(p.pods, func(pod observation.Pod) bool {
		return pod.UID != p.assignment.HolderUID && pod.Labels[api.LabelPodUID] == string(p.assignment.HolderUID) &&
			!observation.Finished(pod.Pod) && api.Selects(m.Service, pod.Labels)
	})
}

// closed reports whether the member must have no endpoint, because the pod that may be mistaken for
// the holder cannot be given its own label.
func (p *Plan) closed(m member) bool { return p.failed[PhaseCorrect] && p.mistakable(m) }

// Next returns the first phase that is not yet written, and its changes, which may be
// sent in any order. The caller calls Applied for each change that succeeded and then
// Next again, until PhaseDone; for a change that failed, it calls Failed. An object that is stamped with a later epoch is left
// alone: then the assignment is out of date, not the object.
func (p *Plan) Next() (Phase, []Change) {
	a, holder := p.assignment, p.holder()
	phases := [PhaseDone][]Change{}
	add := func(phase Phase, c Change) {
		if phase < PhaseDone && !c.Empty() {
			phases[phase] = append(phases[phase], c)
		}
	}
	traced := int32(-1)
	for _, pod := range p.pods {
		if !pod.Elsewhere {
			traced = max(traced, observation.PodStamp(pod.Pod))
		}
	}
	identify, last := false, PhaseTidy
	for _, m := range p.members {
		identify = identify || m.inForce == api.RoutingSelector || m.Settings.Routing == api.RoutingSelector
		if m.epoch() <= a.Epoch {
			routed := a
			if p.closed(m) {
				routed.HolderUID = ""
			}
			add(serviceChange(routed, m, traced))
			if sliceChanges(a, m, m.Routes(holder), add) {
				last = PhaseDetach
			}
		}
	}
	for _, pod := range p.pods {
		podChanges(a, pod, identify, api.LeaseName(p.members[0].Service), add)
	}
	for phase, changes := range phases[:last+1] {
		if p.failed[Phase(phase)] {
			continue
		}
		changes = slices.DeleteFunc(changes, func(c Change) bool { return p.heldUp(Phase(phase), c) })
		if len(changes) > 0 {
			return Phase(phase), changes
		}
	}
	return PhaseDone, nil
}

// Disown returns the changes that leave the Services' selectors to those who apply manifests:
// they take the controller's claims away. They come last, and not while a Service migrates,
// which writes its selector several times.
func (p *Plan) Disown() (changes []Change) {
	for _, m := range p.members {
		if c := disown(m.Service); m.epoch() <= p.assignment.Epoch && !m.Migrating() && !c.Empty() {
			changes = append(changes, c)
		}
	}
	return changes
}

// Applied records the result of a change that succeeded; nil means that the object is
// gone. It returns what another writer had done to the object and the change has put
// back, once for each object; nil if there is nothing to tell.
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

// Pod returns the election's pod with the UID, with what was written to it so far; nil
// if there is none.
func (p *Plan) Pod(uid types.UID) *observation.Pod {
	i := slices.IndexFunc(p.pods, func(pod observation.Pod) bool { return pod.UID == uid })
	if i < 0 {
		return nil
	}
	return &p.pods[i]
}

// holder returns the pod that holds the Lease; nil if no member selects it.
func (p *Plan) holder() *observation.Pod {
	if pod := p.Pod(p.assignment.HolderUID); pod != nil && (!pod.Unselected || pod.Kept) {
		return pod
	}
	return nil
}
