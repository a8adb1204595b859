package observation

import (
	"cmp"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// View returns the observation as package election sees it. Look makes it once. It is the zero
// value if the observation has no Members.
func (o *Observation) View() election.View { return o.view }

func (o *Observation) makeView() election.View {
	v := election.View{
		Lease:     lease.Decode(o.Lease),
		Trace:     trace(o.Members, o.Pods),
		Settings:  o.Settings(),
		MovesLose: slices.ContainsFunc(o.Members, func(m Member) bool { return m.Settings.Routing == api.RoutingLabel }),
		Migrating: slices.ContainsFunc(o.Members, Member.Migrating),
		Divided:   o.Members[len(o.Members)-1].Apart,
		Now:       o.Now,
		DownSince: o.Outage.since(o.Lease),
	}
	v.Lease.Outdated = lease.Outdated(o.Lease, o.Terms())
	if !v.Lease.Exists {
		// A holder may still rely on a Lease that was deleted.
		v.Lease.Duration = v.Settings.LeaseDuration
	}
	for _, p := range o.Pods {
		v.Candidates = append(v.Candidates, o.candidate(p))
	}
	return v
}

// Terms returns what the members ask of the Lease. It must have Members.
func (o *Observation) Terms() lease.Terms {
	settings := o.Settings()
	terms := lease.Terms{Key: o.Key, Duration: settings.LeaseDuration, DeleteDemoted: settings.DeleteDemoted}
	for _, m := range o.Members {
		terms.Owners = append(terms.Owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID})
	}
	return terms
}

// NodeNames returns the names of the nodes of all pods that are, or could become, eligible.
func (o *Observation) NodeNames() sets.Set[string] {
	nodes := sets.New[string]()
	for _, p := range o.Pods {
		if p.Spec.NodeName != "" && Active(p.Pod) {
			nodes.Insert(p.Spec.NodeName)
		}
	}
	return nodes
}

// Settings returns the settings that apply to the election as a whole. It must have Members.
func (o *Observation) Settings() api.Election {
	settings := o.Members[0].Settings.Election
	settings.Paused = slices.ContainsFunc(o.Members, func(m Member) bool { return m.Settings.Paused && !m.Apart })
	return settings
}

// lacksLabel reports whether traffic of a member cannot go to the pod before it is labelled.
func (o *Observation) lacksLabel(p Pod) bool {
	return slices.ContainsFunc(o.Members, func(m Member) bool {
		switch m.Settings.Routing {
		case api.RoutingSelector:
			return p.Labels[api.LabelPodUID] != string(p.UID)
		case api.RoutingLabel:
			return p.Labels[api.LabelDesignation] != api.DesignationActive && !p.Elsewhere
		}
		return false
	})
}

func (o *Observation) candidate(p Pod) election.Candidate {
	_, stamped := p.Annotations[api.AnnotationLeaseTransitions]
	may, _ := api.Candidate(p.Pod)
	// Only the pods of a StatefulSet have the label, and its value is a number.
	index, _ := strconv.Atoi(p.Labels[appsv1.PodIndexLabel])
	c := election.Candidate{
		Name: p.Name, UID: p.UID,
		Unselected:   p.Unselected,
		Elsewhere:    p.Elsewhere,
		Excluded:     !may,
		Finished:     Finished(p.Pod),
		Terminating:  p.DeletionTimestamp != nil,
		Created:      p.CreationTimestamp.Time,
		Draining:     knows(o.Nodes.Unschedulable, p.Spec.NodeName),
		NodeSilent:   knows(o.Nodes.Silent, p.Spec.NodeName),
		Answers:      o.Probes[p.UID] == probe.Answering,
		Unresponsive: o.Probes[p.UID] == probe.Suspected,
		Refused:      o.Refused.Has(p.UID) && o.lacksLabel(p),
		Preferred:    o.Members[0].Settings.Prefer.Matches(labels.Set(p.Labels)),
		Revision:     cmp.Or(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey], p.Labels[appsv1.ControllerRevisionHashLabelKey]),
		Index:        index,
		Identified:   p.Labels[api.LabelPodUID] == string(p.UID),
		Designated:   !stamped && !p.Elsewhere && p.Labels[api.LabelDesignation] == api.DesignationActive,
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			c.Ready = condition.Status == corev1.ConditionTrue
			c.ReadySince = condition.LastTransitionTime.Time
		}
	}
	return c
}
