// Package observation puts together what was read of an election. Package election decides on
// it, and package routing derives the writes from it. It is pure: the caller reads. It imports
// packages api, election, endpoints, lease and probe.
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
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// Observation is one look at an election. Its fields are assigned only in Look.
type Observation struct {
	Inputs
	// Services are the annotated Services of the election, the oldest first.
	Services []*corev1.Service
	// Members are the Services that can be served. The settings of the first apply to the
	// election: it is the one with the Lease's name, or else the oldest.
	Members []Member
	// Pods are the candidates, the holder even if it is no longer selected, and pods that
	// carry marks which must be removed.
	Pods []Pod
	// Problems are what must be reported on the Services, by UID.
	Problems map[types.UID][]api.Problem

	// selected: at least one member selects at least one pod.
	selected bool
	view     election.View
}

// Look makes an observation of what was gathered. It does not change the Inputs.
func Look(in Inputs) *Observation {
	o := &Observation{Inputs: in, Problems: map[types.UID][]api.Problem{}}
	annotated := slices.SortedFunc(slices.Values(in.Services), byAge)
	served := map[*corev1.Service]bool{}
	for _, s := range annotated {
		if LeaseKey(s) != o.Key {
			continue
		}
		settings, problems, ok := api.Parse(s)
		served[s] = ok
		o.Services = append(o.Services, s)
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
	for _, pod := range in.Pods {
		o.addPod(pod, annotated, served)
	}
	o.compareMembers()
	for _, m := range o.Members {
		o.comparePorts(m)
	}
	o.findUnmanaged()
	o.view = o.makeView()
	return o
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
	holder := o.Lease != nil && pod.UID == lease.Decode(o.Lease).HolderUID
	marked := some && MarkedPod(pod)
	if !all && !holder && !marked {
		return
	}
	p := Pod{Pod: pod, Unselected: !all, Node: o.Nodes.Of(pod.Spec.NodeName)}
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
	if _, problem := api.Candidate(pod); all && problem != nil {
		o.problem(problem.Reason, problem.Message)
	}
	o.Pods = append(o.Pods, p)
}

// compareMembers adds problems where the Services of one election do not go together.
func (o *Observation) compareMembers() {
	leading := o.Members[0]
	for _, m := range o.Members[1:] {
		unfollowed := slices.DeleteFunc(m.Settings.Differs(leading.Settings.Election), func(key string) bool {
			_, said := m.Annotations[key]
			return !said
		})
		if len(unfollowed) > 0 {
			o.serviceProblem(m.Service, api.ReasonDifferingSettings, fmt.Sprintf(
				"this Service shares the Lease %s with the Service %s, whose settings apply, but differ in %s; set them there", o.Key.Name, leading.Name, strings.Join(unfollowed, ", ")))
		}
	}
	common := slices.ContainsFunc(o.Pods, func(p Pod) bool { return !p.Unselected })
	if o.selected && !common {
		o.problem(api.ReasonNoCommonCandidate, fmt.Sprintf("no pod is selected by all Services that share the Lease %s, so none can become master", o.Key.Name))
	}
}

// comparePorts finds the pods that have none of the member's ports. Such a pod, like an exporter
// or a job that carries the label, would be an endpoint without a port.
func (o *Observation) comparePorts(m Member) {
	some := false
	var without []int
	var names []string
	for i, p := range o.Pods {
		switch {
		case p.Unselected || !Active(p.Pod):
		case endpoints.HasPort(m.Service, p.Pod):
			some = true
		default:
			without = append(without, i)
			if may, _ := api.Candidate(p.Pod); may {
				names = append(names, p.Name)
			}
		}
	}
	if len(without) == 0 {
		return
	}
	var ports []string
	for _, port := range m.Spec.Ports {
		ports = append(ports, port.TargetPort.String())
	}
	wanted := strings.Join(ports, " or ")
	if !some {
		o.serviceProblem(m.Service, api.ReasonPortUnresolved, fmt.Sprintf(
			"no pod has a container port named %s, so the Service's endpoint has no port; correct targetPort, or name the container's port", wanted))
		return
	}
	if len(names) > 0 {
		slices.Sort(names)
		o.serviceProblem(m.Service, api.ReasonPortUnresolved, fmt.Sprintf(
			"%s cannot become master: other pods have a container port named %s; let the selector leave such pods out, or annotate them with %s: false",
			few(names), wanted, api.AnnotationCandidate))
	}
	for _, i := range without {
		o.Pods[i].Portless = true
	}
}

// findUnmanaged adds a problem if pods must be deleted once they are no longer master, and nothing
// would create them anew.
func (o *Observation) findUnmanaged() {
	var names []string
	for _, p := range o.Pods {
		if !p.Unselected && Active(p.Pod) && !p.Managed() {
			names = append(names, p.Name)
		}
	}
	if len(names) > 0 && o.Settings().DeleteDemoted {
		slices.Sort(names)
		o.problem(api.ReasonUnmanagedPod, fmt.Sprintf(
			"%s is never deleted (%s: %s), because no workload would create a new pod in its place; run the pods in a StatefulSet or a Deployment",
			few(names), api.AnnotationOnDemote, api.OnDemoteDelete))
	}
}

// few joins names for a message, and counts those beyond the first three.
func few(names []string) string {
	const most = 3
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
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
