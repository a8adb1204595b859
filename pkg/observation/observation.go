// Package observation puts together what was read of an election. Package election decides on
// it, and package routing derives the writes from it. It is pure: the caller reads. It imports
// packages api, election, lease and probe.
package observation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// Observation is one look at an election. Its fields are assigned only in Look.
type Observation struct {
	Inputs
	// Services are the annotated Services of the election, the oldest first.
	Services []*corev1.Service
	// Members are the Services that can be served, first the one with the Lease's name.
	Members []Member
	// Pods are the candidates, the holder even if it is no longer selected, and pods that
	// carry marks which must be removed.
	Pods []Pod
	// Problems are what must be reported on the Services, by UID.
	Problems map[types.UID][]api.Problem

	// selected: at least one member selects at least one pod.
	selected bool
	// settings are those that apply to the election, and leading the name of the Service that
	// has asked for them.
	settings api.Election
	leading  string
	seen     Seen
	// holders are the pods of which the election must know even if no member selects them.
	holders []types.UID
	view    election.View
}

// Look makes an observation of what was gathered. It does not change the Inputs.
func Look(in Inputs) *Observation {
	o := &Observation{Inputs: in, Problems: map[types.UID][]api.Problem{}}
	annotated := slices.SortedFunc(slices.Values(in.Services), byAge)
	served := map[*corev1.Service]bool{}
	var asked []api.Election
	for _, s := range annotated {
		if LeaseKey(s) != o.Key {
			continue
		}
		settings, problems, ok := api.Parse(s)
		served[s] = ok
		o.Services, asked = append(o.Services, s), append(asked, settings.Election)
		o.Problems[s.UID] = problems
		if ok {
			o.Members = append(o.Members, Member{Service: s, Settings: settings})
		}
	}
	if len(o.Members) == 0 {
		return o
	}
	if i := slices.IndexFunc(o.Members, func(m Member) bool { return m.Name == o.Key.Name }); i > 0 {
		leading := o.Members[i]
		o.Members = slices.Insert(slices.Delete(o.Members, i, i+1), 0, leading)
	}
	o.addSlices(in.Slices)
	o.holders = o.possibleHolders()
	for _, pod := range in.Pods {
		o.addPod(pod, annotated, served)
	}
	o.settle(asked)
	o.compareCandidates()
	o.seen = o.see()
	o.view = o.makeView()
	return o
}

// possibleHolders returns the UIDs of the pods that the Lease names. If it names none, the Services
// and slices tell of the last holder.
func (o *Observation) possibleHolders() []types.UID {
	_, recorded, _ := lease.Recorded(o.Lease)
	if holder := lease.Decode(o.Lease).HolderUID; holder != "" {
		return []types.UID{holder, recorded}
	}
	return []types.UID{recorded, trace(o.Members, nil).HolderUID}
}

// OldestSelecting returns the first of the Services, which are sorted by age, that selects the
// pod; nil if none does.
func OldestSelecting(services []*corev1.Service, pod *corev1.Pod) *corev1.Service {
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return api.Selects(s, pod.Labels) })
	if i < 0 {
		return nil
	}
	return services[i]
}

// addPod adds the pod if it matters to the election: because every member selects it, because
// it is the holder, or because a member selects it and it carries marks. If several elections
// select the pod, the election of the oldest Service that is served designates it. annotated is
// sorted by age. served says which Services are served, and is completed as they are parsed.
func (o *Observation) addPod(pod *corev1.Pod, annotated []*corev1.Service, served map[*corev1.Service]bool) {
	all, some := true, false
	for _, m := range o.Members {
		matches := m.Settings.Candidates.Matches(labels.Set(pod.Labels))
		all, some = all && matches, some || matches
	}
	o.selected = o.selected || some
	holder := slices.Contains(o.holders, pod.UID)
	marked := some && MarkedPod(pod)
	if !all && !holder && !marked {
		return
	}
	p := Pod{Pod: pod, Unselected: !all}
	serves := func(s *corev1.Service) bool {
		if !api.Selects(s, pod.Labels) {
			return false
		}
		if _, parsed := served[s]; !parsed {
			_, _, served[s] = api.Parse(s)
		}
		return served[s]
	}
	if i := slices.IndexFunc(annotated, serves); i >= 0 && LeaseKey(annotated[i]) != o.Key {
		p.Elsewhere = true
		if all {
			o.overlap(annotated[i])
		}
	}
	if p.Elsewhere && !all && !marked && lease.Decode(o.Lease).HolderUID == "" {
		// It was the master of an election that the Service has left.
		return
	}
	if _, problem := api.Candidate(pod); all && problem != nil {
		o.problem(problem.Reason, problem.Message)
	}
	o.Pods = append(o.Pods, p)
}

// compareMembers adds problems where Services ask for other settings than those that apply.
func (o *Observation) compareMembers(leading *corev1.Service) {
	for _, m := range o.Members {
		if m.Service == leading {
			continue
		}
		unfollowed := slices.DeleteFunc(m.Settings.Differs(o.settings), func(key string) bool {
			_, said := m.Annotations[key]
			return !said
		})
		if len(unfollowed) > 0 {
			o.serviceProblem(m.Service, api.ReasonDifferingSettings, fmt.Sprintf(
				"this Service shares the Lease %s with the Service %s, whose settings apply, but differ in %s; set them there", o.Key.Name, leading.Name, strings.Join(unfollowed, ", ")))
		}
	}
}

// compareCandidates adds a problem where the Services select pods, but none together.
func (o *Observation) compareCandidates() {
	common := slices.ContainsFunc(o.Pods, func(p Pod) bool { return !p.Unselected })
	if o.selected && !common {
		o.problem(api.ReasonNoCommonCandidate, fmt.Sprintf("no pod is selected by all Services that share the Lease %s, so none can become master", o.Key.Name))
	}
}

// overlap adds the problem that another election, of an older Service, designates the pods.
func (o *Observation) overlap(with *corev1.Service) {
	o.problem(api.ReasonOverlappingElection, fmt.Sprintf(
		"the Service %s also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation %s: %s on this Service",
		with.Name, api.AnnotationLeaseName, api.LeaseName(with)))
}

// problem adds a problem of the election as a whole to all its members.
func (o *Observation) problem(reason, message string) {
	for _, m := range o.Members {
		o.serviceProblem(m.Service, reason, message)
	}
}

// serviceProblem adds a problem of a single Service, once.
func (o *Observation) serviceProblem(service *corev1.Service, reason, message string) {
	problem := api.Problem{Reason: reason, Message: message}
	if !slices.Contains(o.Problems[service.UID], problem) {
		o.Problems[service.UID] = append(o.Problems[service.UID], problem)
	}
}

func byAge(a, b *corev1.Service) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// LeaseKey names the Lease of the Service's election.
func LeaseKey(s *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: api.LeaseName(s)}
}
