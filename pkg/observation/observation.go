// Package observation puts together what was read of an election, for package
// election to decide on and package routing to derive from. It is pure: who reads,
// and from where, is the caller's business. It imports packages api, election, probe
// and routing.
package observation

import (
	"cmp"
	"fmt"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/probe"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// Observation is one look at an election.
type Observation struct {
	// Key names the Lease.
	Key types.NamespacedName
	// Services are the annotated Services of the election, the oldest first.
	Services []*corev1.Service
	// Members are those of them that can be served. The settings of the first
	// count where only one's can.
	Members []routing.Member
	// Pods are the candidates, and what else matters, such as a holder that is no longer selected.
	Pods []routing.Pod
	// Probed is what the controller's own probes say of the pods; one of which they say
	// nothing is not in it.
	Probed map[types.UID]probe.State
	// Lease is nil if there is none.
	Lease *coordinationv1.Lease
	// Problems are to be reported on the Services, by UID.
	Problems map[types.UID][]api.Problem
}

// Look makes an observation of the election k out of its Lease and of all
// annotated Services and all pods of its namespace.
func Look(k types.NamespacedName, lease *coordinationv1.Lease, annotated []*corev1.Service, pods []*corev1.Pod) *Observation {
	o := &Observation{Key: k, Lease: lease, Problems: map[types.UID][]api.Problem{}}
	slices.SortFunc(annotated, byAge)
	var served []*corev1.Service
	for _, s := range annotated {
		settings, problems, ok := api.Parse(s)
		if ok {
			served = append(served, s)
		}
		if LeaseKey(s) != k {
			continue
		}
		o.Services = append(o.Services, s)
		o.Problems[s.UID] = problems
		if ok {
			o.Members = append(o.Members, routing.Member{Service: s, Settings: settings})
		}
	}
	if len(o.Members) == 0 {
		return o
	}
	for _, pod := range pods {
		o.add(pod, served)
	}
	return o
}

// OldestSelecting returns the first of the Services, sorted by age, that
// selects the pod; nil if none does.
func OldestSelecting(services []*corev1.Service, pod *corev1.Pod) *corev1.Service {
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return api.Selects(s, pod.Labels) })
	if i < 0 {
		return nil
	}
	return services[i]
}

// add takes the pod up if it matters to the election: as a candidate, which
// every member selects; as the holder; or because it is marked as if it were
// one. Where several elections select it, the one of the oldest of the served
// Services, which are sorted by age, designates it.
func (o *Observation) add(pod *corev1.Pod, served []*corev1.Service) {
	all, some := true, false
	for _, m := range o.Members {
		matches := m.Settings.Candidates.Matches(labels.Set(pod.Labels))
		all, some = all && matches, some || matches
	}
	holder := o.Lease != nil && string(pod.UID) == o.Lease.Annotations[api.AnnotationHolderUID]
	marked := some && routing.MarkedPod(pod)
	if !all && !holder && !marked {
		return
	}
	p := routing.Pod{Pod: pod, Unselected: !all}
	if oldest := OldestSelecting(served, pod); oldest != nil && LeaseKey(oldest) != o.Key {
		p.Elsewhere = true
		if all {
			o.overlap(oldest)
		}
	}
	o.Pods = append(o.Pods, p)
}

func (o *Observation) overlap(with *corev1.Service) {
	o.Problem(api.ReasonOverlappingElection, fmt.Sprintf(
		"pods of this Service are also selected by the Service %s, whose election designates them; for one master of both, set the annotation %s: %s on this one",
		with.Name, api.AnnotationLeaseName, api.LeaseName(with)))
}

// Problem adds one of the election itself, and so of all its members.
func (o *Observation) Problem(reason, message string) {
	for _, m := range o.Members {
		o.ServiceProblem(m.Service, reason, message)
	}
}

// ServiceProblem adds one of a single Service.
func (o *Observation) ServiceProblem(service *corev1.Service, reason, message string) {
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
