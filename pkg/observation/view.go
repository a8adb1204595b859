package observation

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/probe"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// View is the observation as the election sees it at that time.
func (o *Observation) View(nodes NodeStates, now time.Time) election.View {
	trace := routing.Trace(o.Members, o.Pods)
	v := election.View{
		Lease:     o.LeaseView(),
		Trace:     election.Trace{Epoch: trace.Epoch, HolderUID: trace.HolderUID},
		Policy:    o.policy(),
		Now:       now,
		DownSince: o.DownSince,
	}
	if !v.Lease.Exists {
		// One that was deleted may be believed in still.
		v.Lease.Duration = o.Settings().LeaseDuration
	}
	for _, p := range o.Pods {
		v.Candidates = append(v.Candidates, o.candidate(p, nodes))
	}
	return v
}

// Settings are those that count for the election as a whole.
func (o *Observation) Settings() api.Election {
	settings := o.Members[0].Settings.Election
	settings.Paused = slices.ContainsFunc(o.Members, func(m routing.Member) bool { return m.Settings.Paused })
	return settings
}

func (o *Observation) policy() election.Policy {
	settings := o.Settings()
	return election.Policy{
		MovesLose:        slices.ContainsFunc(o.Members, func(m routing.Member) bool { return m.Settings.Routing == api.RoutingLabel }),
		Paused:           settings.Paused,
		Failback:         settings.Failback,
		FailoverDelay:    settings.FailoverDelay,
		AfterTermination: settings.AfterTermination,
		DeleteDemoted:    settings.DeleteDemoted,
	}
}

// LeaseView is the Lease as the election sees it.
func (o *Observation) LeaseView() election.Lease {
	if o.Lease == nil {
		return election.Lease{}
	}
	view := election.Lease{
		Exists:    true,
		Foreign:   o.Lease.Labels[api.LabelManagedBy] != api.ManagedBy,
		Holder:    ptr.Deref(o.Lease.Spec.HolderIdentity, ""),
		HolderUID: types.UID(o.Lease.Annotations[api.AnnotationHolderUID]),
		Epoch:     ptr.Deref(o.Lease.Spec.LeaseTransitions, 0),
		Next:      o.Lease.Annotations[api.AnnotationNextHolder],
		Duration:  time.Duration(ptr.Deref(o.Lease.Spec.LeaseDurationSeconds, 0)) * time.Second,
	}
	if acquired := o.Lease.Spec.AcquireTime; acquired != nil {
		view.Acquired = acquired.Time
	}
	if view.Epoch > api.MaxEpoch {
		view.Epoch = 0
	}
	return view
}

func (o *Observation) candidate(p routing.Pod, nodes NodeStates) election.Candidate {
	_, stamped := p.Annotations[api.AnnotationLeaseTransitions]
	may, _ := api.Candidate(p.Pod)
	// Of no other pods, and of these it is always a number.
	index, _ := strconv.Atoi(p.Labels[appsv1.PodIndexLabel])
	c := election.Candidate{
		Name: p.Name, UID: p.UID,
		Unselected:   p.Unselected,
		Elsewhere:    p.Elsewhere,
		Excluded:     !may,
		Finished:     Finished(p.Pod),
		Terminating:  p.DeletionTimestamp != nil,
		Created:      p.CreationTimestamp.Time,
		Draining:     nodes.Draining(p.Spec.NodeName),
		NodeSilent:   nodes.Silent(p.Spec.NodeName),
		Answers:      o.Probed[p.UID] == probe.Answering,
		Unresponsive: o.Probed[p.UID] == probe.Suspected,
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

// Ready says whether the pod's condition Ready is True.
func Ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// Finished says whether the pod has ended.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
