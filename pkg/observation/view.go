package observation

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

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
		MovesLose: slices.ContainsFunc(o.Members, Member.ByLabel),
		Migrating: slices.ContainsFunc(o.Members, Member.Migrating),
		Divided:   o.Members[len(o.Members)-1].Apart,
		Doubtful:  len(o.unbelieved) > 0,
		Now:       o.Now,
	}
	o.compareContender(&v)
	o.compareRecord(&v)
	v.Lease.Acquired = o.seen.holder(v.Lease).since(v.Lease.Acquired, o.Now)
	v.Lease.Outdated = lease.Outdated(o.Lease, o.Terms())
	if !v.Lease.Exists || v.Lease.Contender != "" {
		// A holder may still rely on a Lease that was deleted, or that a contender has overwritten.
		v.Lease.Duration = v.Settings.LeaseDuration
	}
	for _, p := range o.Pods {
		v.Candidates = append(v.Candidates, o.candidate(p))
	}
	return v
}

// compareContender finds out for how long the Lease is left to a contender. What a contender has
// written counts if it names the holder: the holder itself may rely on the epoch and on the
// renewal that it reads there.
func (o *Observation) compareContender(v *election.View) {
	if v.Lease.Contender == "" {
		v.DownSince = o.Outage.since(o.Lease, true)
		return
	}
	v.Lease.Yield = o.SeeContender().Yield(o.Now)
	last, _ := lease.LastMove(o.Lease)
	name := last.To
	if i := slices.IndexFunc(o.Pods, func(p Pod) bool { return p.UID == v.Lease.HolderUID }); i >= 0 {
		name = o.Pods[i].Name
	}
	named := name != "" && ptr.Deref(o.Lease.Spec.HolderIdentity, "") == name
	v.DownSince = o.Outage.since(o.Lease, named && v.Settings.LeaseDuration > 0)
	if written := ptr.Deref(o.Lease.Spec.LeaseTransitions, 0); named && written <= api.MaxEpoch {
		v.Lease.Epoch = max(v.Lease.Epoch, written)
	}
}

// compareRecord finds out whether a user has overwritten the UID of the Lease's holder, and takes
// the Lease's own record for one more trace. A Lease without a record, or with one of an earlier
// epoch, may have been written by an older version. Then the traces of its epoch tell. If they know no
// holder of that epoch, or a later one, the controller has not written the one that a Lease without a
// record names: that counts as little as if the Lease had just begun. No holder has had the epoch 0.
func (o *Observation) compareRecord(v *election.View) {
	epoch, uid, found := lease.Recorded(o.Lease)
	traced := v.Trace.HolderEpoch == v.Lease.Epoch && v.Trace.HolderUID != ""
	switch named := v.Lease.HolderUID; {
	case named == "":
		v.Lease.Vacant = v.Lease.Exists && !found && v.Trace.HolderUID != "" && v.Trace.HolderEpoch < v.Lease.Epoch
	case !found && traced && v.Trace.HolderUID != named:
		v.Lease.HolderUID, v.Lease.Forged = v.Trace.HolderUID, true
	case !found && (v.Lease.Epoch == 0 || v.Trace.Epoch >= v.Lease.Epoch && v.Trace.HolderUID != named):
		v.Lease.Exists, v.Lease.HolderUID = false, ""
	case found && uid != named && (!traced || v.Trace.HolderUID != named):
		v.Lease.HolderUID, v.Lease.Forged, v.Lease.Spent = uid, true, epoch < v.Lease.Epoch
	}
	if !found {
		return
	}
	v.Trace.Stamped, v.Trace.Epoch = true, max(v.Trace.Epoch, epoch)
	if epoch >= v.Trace.HolderEpoch {
		v.Trace.HolderUID, v.Trace.HolderEpoch = uid, epoch
	}
}

// MasterName returns the name of the pod that holds the Lease by its UID; empty if there is none. The
// name in the Lease may be an edit that the controller has yet to follow, so it is the last resort.
func (o *Observation) MasterName() string {
	held := o.View().Lease
	if held.HolderUID == "" || held.Foreign {
		return ""
	}
	if i := slices.IndexFunc(o.Pods, func(p Pod) bool { return p.UID == held.HolderUID }); i >= 0 {
		return o.Pods[i].Name
	}
	if last, found := lease.LastMove(o.Lease); found && last.Epoch == held.Epoch {
		return last.To
	}
	return held.Holder
}

// Traced returns the highest epoch with which anything but the Lease is stamped; 0 if nothing is.
func (o *Observation) Traced() int32 { return trace(o.Members, o.Pods).Epoch }

// Stamped reports whether anything but the Lease is stamped, if only with epoch 0.
func (o *Observation) Stamped() bool { return trace(o.Members, o.Pods).Stamped }

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

// lacksLabel reports whether traffic of a member cannot go to the pod before it is labelled.
func (o *Observation) lacksLabel(p Pod) bool {
	return slices.ContainsFunc(o.Members, func(m Member) bool {
		return m.Settings.Routing == api.RoutingSelector && p.Labels[api.LabelPodUID] != string(p.UID) ||
			m.ByLabel() && !p.Elsewhere && !active(p)
	})
}

// inactive reports whether traffic of a member cannot go to the pod, because another election
// decides whether the pod is active, and has decided that it is not.
func (o *Observation) inactive(p Pod) bool {
	return p.Elsewhere && !active(p) && slices.ContainsFunc(o.Members, func(m Member) bool { return m.ByLabel() && !m.Apart })
}

func active(p Pod) bool { return p.Labels[api.LabelDesignation] == api.DesignationActive }

func (o *Observation) candidate(p Pod) election.Candidate {
	_, stamped := p.Annotations[api.AnnotationLeaseTransitions]
	may, _ := api.Candidate(p.Pod)
	// Only the pods of a StatefulSet have the label, and its value is a number.
	index, _ := strconv.Atoi(p.Labels[appsv1.PodIndexLabel])
	workload, revision := workload(p.Pod)
	priority, _ := o.priority(p.Pod)
	c := election.Candidate{
		Name: p.Name, UID: p.UID,
		Unselected:   p.Unselected,
		Elsewhere:    p.Elsewhere,
		Excluded:     !may,
		Finished:     Finished(p.Pod),
		Terminating:  p.DeletionTimestamp != nil,
		Created:      p.CreationTimestamp.Time,
		Portless:     p.Portless,
		Addressless:  len(p.Status.PodIPs) == 0,
		NodeGone:     p.Node.Gone,
		Draining:     p.Node.Draining,
		NodeSilent:   p.Node.Silent,
		Answers:      o.Probes[p.UID] == probe.Answering,
		Unresponsive: o.Probes[p.UID] == probe.Suspected,
		Refused:      o.Refused.Has(p.UID) && o.lacksLabel(p),
		Inactive:     o.inactive(p),
		Preferred:    o.settings.Prefer.Matches(labels.Set(p.Labels)),
		Priority:     priority,
		HigherSince:  o.seen.Higher[p.UID],
		Workload:     workload,
		Revision:     revision,
		Index:        index,
		Identified:   p.Labels[api.LabelPodUID] == string(p.UID),
		Designated:   !stamped && !p.Elsewhere && p.Labels[api.LabelDesignation] == api.DesignationActive,
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			c.Ready = condition.Status == corev1.ConditionTrue
			c.ReadySince = condition.LastTransitionTime.Time
			c.SeenReady = o.seen.Ready[p.UID].since(c.ReadySince, o.Now)
		}
	}
	return c
}

// rolloutHash is the label that Argo Rollouts gives the pods of a ReplicaSet, where a Deployment
// gives them another.
const rolloutHash = "rollouts-pod-template-hash"

// workload returns what creates the pod anew, empty if nothing does, and the revision of it that
// the pod is of.
func workload(pod *corev1.Pod) (workload, revision string) {
	hash := cmp.Or(pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey], pod.Labels[rolloutHash])
	revision = cmp.Or(hash, pod.Labels[appsv1.ControllerRevisionHashLabelKey])
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "", revision
	}
	name := owner.Name
	if owner.Kind == "ReplicaSet" {
		// A Deployment names its ReplicaSets after itself and the hash. One that nothing owns has
		// no revisions but itself.
		name, revision = strings.TrimSuffix(name, "-"+hash), cmp.Or(revision, name)
	}
	return owner.Kind + "/" + name, revision
}
