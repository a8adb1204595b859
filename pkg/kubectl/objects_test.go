package kubectl

import (
	"fmt"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// The objects that the tests begin with. Those of a bubble begin in the year 2000.

func ago(d time.Duration) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-d)
}

func metaOf(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{}, Annotations: map[string]string{}}
}

func in[T metav1.Object](namespace string, o T) T {
	o.SetNamespace(namespace)
	return o
}

// aService is annotated, selects app: web, and is routed to the pod by its selector.
func aService(name, holder string, epoch int, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metaOf(name), Spec: corev1.ServiceSpec{ClusterIP: "10.1.0.1", Selector: map[string]string{"app": "web"}}}
	s.CreationTimestamp = metav1.NewTime(ago(time.Hour))
	s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
	if holder != "" {
		s.Spec.Selector[api.LabelPodUID] = "uid-" + holder
		s.Annotations[api.AnnotationLeaseTransitions] = strconv.Itoa(epoch)
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func unannotated(s *corev1.Service) { s.Annotations = nil }

func annotated(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func aLease(name, holder string, epoch int32, change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{ObjectMeta: metaOf(name)}
	l.Labels[api.LabelManagedBy] = api.ManagedBy
	if l.Annotations[api.AnnotationReason] = "AwaitingEligible"; holder != "" {
		l.Annotations[api.AnnotationHolderUID] = "uid-" + holder
		l.Annotations[api.AnnotationReason] = "HolderNotReady"
		l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &epoch, AcquireTime: ptr.To(metav1.NewMicroTime(ago(3 * time.Minute)))}
	}
	for _, f := range change {
		f(l)
	}
	return l
}

// contended lets an application's own leader election take the Lease of web-0.
func contended(l *coordinationv1.Lease) {
	l.Annotations[api.AnnotationRecord] = "3/uid-web-0"
	l.Annotations[api.AnnotationHistory] = fmt.Sprintf(`[{"epoch":3,"time":%q,"to":"web-0","action":"Failover","reason":"HolderNotReady"}]`, ago(2*time.Minute).Format(metav1.RFC3339Micro))
	l.Spec = coordinationv1.LeaseSpec{HolderIdentity: ptr.To("web-1"), LeaseTransitions: ptr.To[int32](9), LeaseDurationSeconds: ptr.To[int32](15), AcquireTime: ptr.To(metav1.NewMicroTime(ago(time.Minute)))}
	l.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "app", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:holderIdentity":{},"f:leaseTransitions":{},"f:renewTime":{}}}`)}}
}

// aPod is Ready, on a node of its own, and marked as the controller marks candidates.
func aPod(name, designation string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metaOf(name), Spec: corev1.PodSpec{NodeName: "node-" + name[len(name)-1:]}}
	p.OwnerReferences = fakeapi.Workload()
	p.Labels["app"] = "web"
	p.Labels[api.LabelPodUID] = string(p.UID)
	p.Labels[api.LabelDesignation] = designation
	p.Annotations[api.AnnotationLeaseTransitions], p.Annotations[api.AnnotationWitness] = "3", string(p.UID)
	if designation == api.DesignationActive {
		p.Annotations[api.AnnotationDeletionCost] = api.MasterDeletionCost
		p.Annotations[api.AnnotationWitness] += "@3"
	}
	p.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIPs:     []corev1.PodIP{{IP: "10.0.0.1"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(ago(10 * time.Minute))}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func unmarked(p *corev1.Pod) {
	p.Labels, p.Annotations = map[string]string{"app": "web"}, nil
}

func notReady(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }
func excluded(p *corev1.Pod) { p.Annotations[api.AnnotationCandidate] = "false" }
func evicted(p *corev1.Pod)  { p.Status.Phase = corev1.PodFailed }

func prioritized(number string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations[api.AnnotationPriority] = number }
}

// connects gives the pod a readiness probe that can be asked.
func connects(p *corev1.Pod) {
	p.Spec.Containers = []corev1.Container{{Name: "web", ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(5432)}}}}}
}

func readyFor(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(ago(d)) }
}

func terminating(p *corev1.Pod) {
	p.DeletionTimestamp = ptr.To(metav1.NewTime(ago(time.Second)))
	p.Finalizers = []string{"example.com/kept"}
}

func aNode(name string, cordoned bool) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned}}
}

// aRefusal is the event of an edit that the controller has refused.
func aRefusal(service, pod string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metaOf("refusal"), Type: corev1.EventTypeWarning, Reason: string(election.EditRefused), Note: pod + " was refused before",
		Regarding: corev1.ObjectReference{Kind: "Service", Namespace: "default", Name: service, UID: types.UID("uid-" + service)},
		Related:   &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: pod},
	}
}

// web is an election as it should be: web-0 is master, and two pods stand by.
func web(more ...runtime.Object) []runtime.Object {
	return append([]runtime.Object{
		aService("web", "web-0", 3), aLease("web", "web-0", 3),
		aPod("web-0", "active"), aPod("web-1", "standby", readyFor(5*time.Minute)), aPod("web-2", "standby", readyFor(8*time.Minute)),
		aNode("node-0", false), aNode("node-1", false), aNode("node-2", false),
	}, more...)
}

// pausing lets the first of the objects, a Service, ask for a pause.
func pausing(objects []runtime.Object) []runtime.Object {
	annotated(api.AnnotationPaused, "true")(objects[0].(*corev1.Service))
	return objects
}

// ownSlice is the slice of the Service web as the controller has written it.
func ownSlice(holder string, epoch string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metaOf("web-master-ipv4"), AddressType: discoveryv1.AddressTypeIPv4}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: api.SliceManagedBy}
	s.Annotations[api.AnnotationLeaseTransitions] = epoch
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: holder, UID: types.UID("uid-" + holder)}}}
	return s
}

// published is the slice of a Service as the controller writes it for the pod.
func published(s *corev1.Service, pod *corev1.Pod) *discoveryv1.EndpointSlice {
	slice := endpoints.Slices(s, pod, "")[0]
	slice.Name = observation.SliceName(s.Name, slice.AddressType)
	slice.Labels[discoveryv1.LabelManagedBy] = api.SliceManagedBy
	slice.Annotations = map[string]string{api.AnnotationLeaseTransitions: s.Annotations[api.AnnotationLeaseTransitions]}
	slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}
	return slice
}

// listing is another slice of Kubernetes' own controller, of the Service web.
func listing(pod string) *discoveryv1.EndpointSlice {
	s := ownSlice(pod, "")
	s.Name, s.Labels[discoveryv1.LabelManagedBy] = "web-x", observation.BuiltIn
	return s
}

// refusedWrite is the event of a write that the API server has refused.
func refusedWrite(service string, before time.Duration) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metaOf("refused-write"), Type: corev1.EventTypeWarning, Reason: api.ReasonWriteRefused, Note: "the API server refuses a write of the controller: writing Pod web-1: no",
		EventTime: metav1.NewMicroTime(ago(before)),
		Regarding: corev1.ObjectReference{Kind: "Service", Namespace: "default", Name: service, UID: types.UID("uid-" + service)},
	}
}
