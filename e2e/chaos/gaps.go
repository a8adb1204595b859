package chaos

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// gap is a time in which a Service has no endpoint although a pod is eligible.
type gap struct {
	service string
	since   time.Time
	lasted  time.Duration
	// sound is when it began, or no setting asked to wait any longer, by the judge's time of that
	// name.
	sound  time.Duration
	causes sets.Set[string]
}

// lookForGap follows the time in which a Service has no endpoint although a pod is eligible.
func (j *judge) lookForGap(s *corev1.Service, isEmpty bool) {
	isEligible := j.eligible(api.LeaseName(s))
	canServe := func(p *corev1.Pod) bool {
		return isEligible(p) && (!j.refused.Has(p.Name) || p.Labels[api.LabelPodUID] == string(p.UID))
	}
	if !isEmpty || isEligible == nil || !slices.ContainsFunc(slices.Collect(maps.Values(j.pods)), canServe) {
		j.endGap(s.Name)
		return
	}
	g := j.gaps[s.Name]
	if g == nil {
		g = &gap{service: s.Name, since: j.now, sound: j.sound, causes: sets.New[string]()}
		j.gaps[s.Name] = g
	}
	waits := j.waits(s)
	g.causes.Insert(slices.Collect(maps.Keys(j.faults))...)
	g.causes.Insert(waits...)
	if len(waits) > 0 || j.unlisted(s) {
		g.sound = j.sound
	}
	j.once(j.sound-g.sound > empty, "empty "+s.Name, api.LeaseName(s), "Service %s has no endpoint for %s, though a pod is eligible and no setting asks to wait", s.Name, empty)
}

// unlisted reports whether Kubernetes may still leave out the holder, because its node was
// gone: Kubernetes then tries again ever more rarely.
func (j *judge) unlisted(s *corev1.Service) bool {
	const atMost = time.Minute
	holder := j.pod(lease.Decode(j.leases[api.LeaseName(s)]).HolderUID)
	if holder == nil || j.nodes[holder.Spec.NodeName] == nil {
		return false
	}
	return j.sound-j.moved[holder.Spec.NodeName] < atMost
}

// waits are the settings by which the election may have to wait.
func (j *judge) waits(s *corev1.Service) (waits []string) {
	l := j.leases[api.LeaseName(s)]
	holder := j.pod(lease.Decode(l).HolderUID)
	for _, m := range j.members(api.LeaseName(s)) {
		settings, _, _ := api.Parse(m)
		if settings.Paused {
			// It may lead.
			waits = append(waits, "paused")
		}
		if settings.AfterTermination && holder != nil && !observation.Finished(holder) {
			waits = append(waits, "after-termination")
		}
		if settings.LeaseDuration > 0 && l != nil && lease.Renewed(l).Add(settings.LeaseDuration).After(j.now.Add(-time.Second)) {
			waits = append(waits, "lease-duration")
		}
		if settings.FailoverDelay > 0 && holder != nil && !observation.Ready(holder) {
			waits = append(waits, "failover-delay")
		}
	}
	return waits
}

func (j *judge) endGap(service string) {
	g := j.gaps[service]
	if g == nil {
		return
	}
	delete(j.gaps, service)
	j.failing.Delete("empty " + service)
	if g.lasted = j.now.Sub(g.since); g.lasted > 0 {
		j.interrupted = append(j.interrupted, *g)
	}
	if election := j.electionOf(service); g.lasted > time.Second {
		j.tell(election, "Service %s had no endpoint for %s", service, g.lasted.Round(time.Millisecond))
	}
}

// eligible returns a function that reports whether a pod can be master in an election, as far
// as the pod and its node say. It returns nil if no Service of the election is served.
func (j *judge) eligible(name string) func(*corev1.Pod) bool {
	var selectors []labels.Selector
	byLabel := false
	for _, m := range j.members(name) {
		if settings, _, ok := api.Parse(m); ok {
			selectors = append(selectors, settings.Candidates)
			byLabel = byLabel || settings.Routing == api.RoutingLabel
		}
	}
	if len(selectors) == 0 {
		return nil
	}
	return func(p *corev1.Pod) bool {
		may, _ := api.Candidate(p)
		return may && observation.Ready(p) && observation.Active(p) && len(p.Status.PodIPs) > 0 && j.nodes[p.Spec.NodeName] != nil &&
			!slices.ContainsFunc(selectors, func(s labels.Selector) bool { return !s.Matches(podLabels(p)) }) &&
			// By label a pod that an older election designates is master only if it is the older's master.
			(!byLabel || isActive(p) || j.designates(p) == name)
	}
}
