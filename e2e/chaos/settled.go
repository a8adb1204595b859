package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func podLabels(p *corev1.Pod) labels.Set { return labels.Set(p.Labels) }

// unsettled is what is not yet as it must be once the faults have ended, by election.
func (j *judge) unsettled() (problems []moment) {
	problem := func(election, format string, args ...any) {
		problems = append(problems, moment{j.now, election, fmt.Sprintf(format, args...)})
	}
	groups := map[string][]observation.Member{}
	for _, name := range slices.Sorted(maps.Keys(j.services)) {
		if s := j.services[name]; api.Annotated(s) {
			if settings, _, ok := api.Parse(s); ok {
				groups[api.LeaseName(s)] = append(groups[api.LeaseName(s)], observation.Member{Service: s, Settings: settings})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		for _, text := range j.unsettledElection(name, groups[name]) {
			problem(name, "%s", text)
		}
	}
	return append(problems, j.leftovers()...)
}

// unsettledElection checks the holder, and that traffic goes to it alone.
func (j *judge) unsettledElection(name string, members []observation.Member) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	l := j.leases[name]
	if l == nil {
		return []string{fmt.Sprintf("there is no Lease %s", name)}
	}
	holder := j.pod(lease.Decode(l).HolderUID)
	isCandidate := func(p *corev1.Pod) bool {
		return p != nil && !slices.ContainsFunc(members, func(m observation.Member) bool { return !m.Settings.Candidates.Matches(podLabels(p)) })
	}
	isEligible := j.eligible(name)
	leading, _, _ := api.Parse(j.leading(name))
	paused := leading.Paused
	awaited := holder != nil && !observation.Finished(holder) && slices.ContainsFunc(members, func(m observation.Member) bool { return m.Settings.AfterTermination })
	for _, pod := range slices.Sorted(maps.Keys(j.pods)) {
		p := j.pods[pod]
		if isEligible(p) && !paused && !awaited && (holder == nil || !isEligible(holder)) {
			problem("%s is eligible, but Lease %s has %s", j.podOf(pod, p.UID), name, cmp.Or(j.podOf("", lease.Decode(l).HolderUID), "no holder"))
			break
		}
	}
	for _, m := range members {
		want := map[types.UID]bool{}
		// A holder that only some Services select is kept, and goes on to be the endpoint of these.
		if holder != nil && m.Settings.Candidates.Matches(podLabels(holder)) && !observation.Finished(holder) {
			want[holder.UID] = observation.Ready(holder) && holder.DeletionTimestamp == nil
		}
		if text := j.misrouted(m, want); text != "" {
			problem("%s", text)
		}
	}
	for _, pod := range slices.Sorted(maps.Keys(j.pods)) {
		p := j.pods[pod]
		if isCandidate(p) && j.designates(p) == name && (p == holder) != isActive(p) {
			problem("%s is designated %q, though Lease %s has %s", j.podOf(pod, p.UID), p.Labels[api.LabelDesignation], name, j.podOf("", lease.Decode(l).HolderUID))
		}
		// What the policy has refused is written when it is tried again.
		if isEligible(p) && j.designates(p) == name && p.Labels[api.LabelDesignation] == "" {
			problem("%s has no designation", j.podOf(pod, p.UID))
		}
	}
	return problems
}

// awaits reports whether Kubernetes must list the pod. While the pod's node is gone it cannot, and after
// some tries it gives up until the pod or the Service changes. A Service that migrates waits for it.
func (j *judge) awaits(uid types.UID) bool {
	p := j.pod(uid)
	return j.moved[p.Spec.NodeName] == 0 || observation.Ready(p)
}

// misrouted says how the slices of a Service differ from what they must list.
func (j *judge) misrouted(m observation.Member, want map[types.UID]bool) string {
	byKubernetes, byUs := j.slicesOf(m.Name, false), j.slicesOf(m.Name, true)
	kubernetes, own := observation.Listed(byKubernetes), observation.Listed(byUs)
	if m.Settings.Routing == api.RoutingLabel {
		// The master of an election that shares pods with an older one may be a standby of the older.
		maps.DeleteFunc(want, func(uid types.UID, _ bool) bool { return !isActive(j.pod(uid)) })
	}
	byController := m.Settings.Routing == api.RoutingEndpointSlice
	if byController && !observation.Detached(m.Service) && len(kubernetes) == 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(want)), j.awaits) {
		clear(want)
	}
	switch {
	case byController && !maps.Equal(own, want):
		return fmt.Sprintf("the controller's slices of Service %s list %s, want %s", m.Name, j.show(own), j.show(want))
	case byController && !m.Settings.Selectorless && len(kubernetes) > 0:
		return fmt.Sprintf("Kubernetes' slices of Service %s list %s beside the controller's", m.Name, j.show(kubernetes))
	case !byController && len(byUs) > 0:
		return fmt.Sprintf("the controller's slices of Service %s are left", m.Name)
	case !byController && len(byKubernetes) == 0:
		// Kubernetes' controller makes at least an empty one. If a Service was created anew just after its deletion, it
		// may wait for the slice of the former one, and give up: "EndpointSlice informer cache is out of date".
	case !byController && !maps.Equal(kubernetes, want):
		return fmt.Sprintf("Kubernetes' slices of Service %s list %s, want %s", m.Name, j.show(kubernetes), j.show(want))
	}
	return ""
}

func (j *judge) show(listed map[types.UID]bool) string {
	var shown []string
	for _, uid := range slices.Sorted(maps.Keys(listed)) {
		state := " not ready"
		if listed[uid] {
			state = ""
		}
		shown = append(shown, j.podOf("", uid)+state)
	}
	return fmt.Sprint(shown)
}

// designates names the election that decides if a pod is active: that of the oldest served
// Service that selects the pod with all others of its election, or else of the oldest that
// selects the pod.
func (j *judge) designates(p *corev1.Pod) (election string) {
	var served []*corev1.Service
	for _, s := range j.services {
		if _, _, ok := api.Parse(s); ok && api.Annotated(s) {
			served = append(served, s)
		}
	}
	slices.SortFunc(served, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	inPart := map[string]bool{}
	for _, s := range served {
		inPart[api.LeaseName(s)] = inPart[api.LeaseName(s)] || !api.Selects(s, p.Labels)
	}
	selecting := slices.DeleteFunc(served, func(s *corev1.Service) bool { return !api.Selects(s, p.Labels) })
	if len(selecting) == 0 {
		return ""
	}
	i := slices.IndexFunc(selecting, func(s *corev1.Service) bool { return !inPart[api.LeaseName(s)] })
	return api.LeaseName(selecting[max(i, 0)])
}

func isActive(p *corev1.Pod) bool { return p.Labels[api.LabelDesignation] == api.DesignationActive }

// leftovers are what is left where no Service asks for it.
func (j *judge) leftovers() (problems []moment) {
	problem := func(election, format string, args ...any) {
		problems = append(problems, moment{j.now, election, fmt.Sprintf(format, args...)})
	}
	for name, l := range j.leases {
		if l.Labels[api.LabelManagedBy] == api.ManagedBy && !j.asked(name) {
			problem(name, "Lease %s is left", name)
		}
	}
	var annotated []*corev1.Service
	for name, s := range j.services {
		switch {
		case api.Annotated(s):
			annotated = append(annotated, s)
		case observation.MarkedService(s), s.Spec.Selector[api.LabelPodUID] != "", s.Spec.Selector[api.LabelRouting] != "":
			problem(api.LeaseName(s), "the controller's marks on Service %s are left", name)
		}
	}
	for name, p := range j.pods {
		if of := observation.MasterOf(p); of != "" && slices.ContainsFunc(annotated, func(s *corev1.Service) bool { return api.LeaseName(s) == of }) {
			// It tells of a master that may have to stop before another follows.
			continue
		}
		if observation.MarkedPod(p) && observation.OldestSelecting(annotated, p) == nil {
			problem(p.Labels["set"], "the controller's marks on pod %s are left", name)
		}
	}
	for name, s := range j.slices {
		service := observation.ServiceOf(s).Name
		if of := j.services[service]; observation.Own(s) && (of == nil || !api.Annotated(of)) {
			problem(j.electionOf(service), "EndpointSlice %s is left", name)
		}
	}
	slices.SortFunc(problems, func(a, b moment) int { return cmp.Compare(a.text, b.text) })
	return problems
}
