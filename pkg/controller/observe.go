package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/probe"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// observation is one look at an election.
type observation struct {
	key key
	// services are the annotated Services of the election, the oldest first.
	services []*corev1.Service
	// members are those of them that can be served. The settings of the first
	// count where only one's can.
	members []routing.Member
	// pods are the candidates, and what else add takes up.
	pods []routing.Pod
	// probed is what the controller's own probes say of the pods; one of which they say
	// nothing is not in it.
	probed map[types.UID]probe.State
	// lease is nil if there is none.
	lease *coordinationv1.Lease
	// problems are to be reported on the Services, by UID.
	problems map[types.UID][]api.Problem
}

// look makes an observation of the election k out of its Lease and of all
// annotated Services and all pods of its namespace.
func look(k key, lease *coordinationv1.Lease, annotated []*corev1.Service, pods []*corev1.Pod) *observation {
	o := &observation{key: k, lease: lease, problems: map[types.UID][]api.Problem{}}
	slices.SortFunc(annotated, byAge)
	var served []*corev1.Service
	for _, s := range annotated {
		settings, problems, ok := api.Parse(s)
		if ok {
			served = append(served, s)
		}
		if leaseKey(s) != k {
			continue
		}
		o.services = append(o.services, s)
		o.problems[s.UID] = problems
		if ok {
			o.members = append(o.members, routing.Member{Service: s, Settings: settings})
		}
	}
	if len(o.members) == 0 {
		return o
	}
	for _, pod := range pods {
		o.add(pod, served)
	}
	return o
}

// lookAtCaches looks at the election as the caches have it.
func (c *Controller) lookAtCaches(ctx context.Context, k key) (*observation, error) {
	pods, err := c.pods.in(ctx, k.Namespace)
	if err != nil {
		return nil, fmt.Errorf("watching the pods: %w", err)
	}
	lease, _ := c.leases.in(k.Namespace).get(k)
	o := look(k, lease, c.annotatedServices(k.Namespace), pods.by(cache.NamespaceIndex, k.Namespace))
	c.withProbes(o)
	c.withCachedSlices(o)
	return o, nil
}

// lookAtServer looks at the election as the API server has it now.
func (c *Controller) lookAtServer(ctx context.Context, k key) (*observation, error) {
	lease, err := c.client.CoordinationV1().Leases(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		lease = nil
	case err != nil:
		return nil, fmt.Errorf("reading the Lease: %w", err)
	}
	pods, services, err := c.listNamespace(ctx, k.Namespace)
	if err != nil {
		return nil, err
	}
	annotated := slices.DeleteFunc(services, func(s *corev1.Service) bool { return !api.Annotated(s) })
	o := look(k, lease, annotated, pods)
	c.withProbes(o)
	return o, c.withLiveSlices(ctx, o)
}

// listNamespace asks the API server. It lists the pods first, so that a mark on
// one of them was made for a Service that is listed too.
func (c *Controller) listNamespace(ctx context.Context, namespace string) (pods []*corev1.Pod, services []*corev1.Service, err error) {
	podList, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the pods: %w", err)
	}
	serviceList, err := c.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the Services: %w", err)
	}
	for i := range podList.Items {
		pods = append(pods, &podList.Items[i])
	}
	for i := range serviceList.Items {
		services = append(services, &serviceList.Items[i])
	}
	return pods, services, nil
}

// oldestSelecting returns the first of the Services, sorted by age, that
// selects the pod; nil if none does.
func oldestSelecting(services []*corev1.Service, pod *corev1.Pod) *corev1.Service {
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
func (o *observation) add(pod *corev1.Pod, served []*corev1.Service) {
	all, some := true, false
	for _, m := range o.members {
		matches := m.Settings.Candidates.Matches(labels.Set(pod.Labels))
		all, some = all && matches, some || matches
	}
	holder := o.lease != nil && string(pod.UID) == o.lease.Annotations[api.AnnotationHolderUID]
	marked := some && routing.MarkedPod(pod)
	if !all && !holder && !marked {
		return
	}
	p := routing.Pod{Pod: pod, Unselected: !all}
	if oldest := oldestSelecting(served, pod); oldest != nil && leaseKey(oldest) != o.key {
		p.Elsewhere = true
		if all {
			o.overlap(oldest)
		}
	}
	o.pods = append(o.pods, p)
}

func (o *observation) overlap(with *corev1.Service) {
	o.problem(api.ReasonOverlappingElection, fmt.Sprintf(
		"pods of this Service are also selected by the Service %s, whose election designates them; for one master of both, set the annotation %s: %s on this one",
		with.Name, api.AnnotationLeaseName, api.LeaseName(with)))
}

// problem is one of the election itself, and so of all its members.
func (o *observation) problem(reason, message string) {
	for _, m := range o.members {
		o.serviceProblem(m.Service, reason, message)
	}
}

func (o *observation) serviceProblem(service *corev1.Service, reason, message string) {
	problem := api.Problem{Reason: reason, Message: message}
	if !slices.Contains(o.problems[service.UID], problem) {
		o.problems[service.UID] = append(o.problems[service.UID], problem)
	}
}

// replace puts what the API server says of a pod, nil if it is gone, in the
// place of what the cache says.
func (o *observation) replace(name string, now *corev1.Pod) {
	i := slices.IndexFunc(o.pods, func(p routing.Pod) bool { return p.Name == name })
	switch {
	case i < 0:
	case now == nil:
		o.pods = slices.Delete(o.pods, i, i+1)
	default:
		o.pods[i].Pod = now
	}
}

// took takes the result of a change up; nil means that the object is gone.
func (o *observation) took(p routing.Change, result runtime.Object) {
	switch now := result.(type) {
	case *corev1.Service:
		for i := range o.members {
			if o.members[i].UID == now.UID {
				o.members[i].Service = now
			}
		}
	case *corev1.Pod:
		o.replace(p.Name, now)
	case *discoveryv1.EndpointSlice:
		o.replaceSlice(p, now)
	case nil:
		if p.Kind == routing.KindEndpointSlice {
			o.replaceSlice(p, nil)
		} else {
			o.replace(p.Name, nil)
		}
	}
}

// replaceSlice puts the result of a change in the place of what the EndpointSlice
// was before, nil for nothing.
func (o *observation) replaceSlice(p routing.Change, now *discoveryv1.EndpointSlice) {
	for i := range o.members {
		m := &o.members[i]
		m.Slices = slices.DeleteFunc(slices.Clone(m.Slices), func(s *discoveryv1.EndpointSlice) bool { return s.Name == p.Name })
		if now != nil && serviceOf(now).Name == m.Name {
			m.Slices = append(m.Slices, now)
		}
	}
}

// view is the observation as the election sees it.
func (o *observation) view(nodes nodeStates) election.View {
	trace := routing.Trace(o.members, o.pods)
	v := election.View{
		Lease: o.leaseView(),
		Trace: election.Trace{Epoch: trace.Epoch, HolderUID: trace.HolderUID},
	}
	for _, m := range o.members {
		v.MovesLose = v.MovesLose || m.Settings.Routing == api.RoutingLabel
	}
	for _, p := range o.pods {
		v.Candidates = append(v.Candidates, o.candidate(p, nodes))
	}
	return v
}

func (o *observation) leaseView() election.Lease {
	if o.lease == nil {
		return election.Lease{}
	}
	view := election.Lease{
		Exists:    true,
		Foreign:   o.lease.Labels[api.LabelManagedBy] != api.ManagedBy,
		Holder:    ptr.Deref(o.lease.Spec.HolderIdentity, ""),
		HolderUID: types.UID(o.lease.Annotations[api.AnnotationHolderUID]),
		Epoch:     ptr.Deref(o.lease.Spec.LeaseTransitions, 0),
	}
	if view.Epoch > api.MaxEpoch {
		view.Epoch = 0
	}
	return view
}

func (o *observation) candidate(p routing.Pod, nodes nodeStates) election.Candidate {
	_, stamped := p.Annotations[api.AnnotationLeaseTransitions]
	c := election.Candidate{
		Name: p.Name, UID: p.UID,
		Unselected:   p.Unselected,
		Finished:     finished(p.Pod),
		Terminating:  p.DeletionTimestamp != nil,
		Created:      p.CreationTimestamp.Time,
		Draining:     nodes.draining(p.Spec.NodeName),
		NodeSilent:   nodes.dead(p.Spec.NodeName),
		Answers:      o.probed[p.UID] == probe.Answering,
		Unresponsive: o.probed[p.UID] == probe.Suspected,
		Preferred:    o.members[0].Settings.Prefer.Matches(labels.Set(p.Labels)),
		Revision:     cmp.Or(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey], p.Labels[appsv1.ControllerRevisionHashLabelKey]),
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

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func byAge(a, b *corev1.Service) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
