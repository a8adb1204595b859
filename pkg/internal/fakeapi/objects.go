package fakeapi

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Namespace is that of objects, unless they are made In another.
const Namespace = metav1.NamespaceDefault

// NewService returns a Service that is annotated and selects app=web, and is otherwise as
// change makes it.
func NewService(name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// BySlice makes a Service whose EndpointSlices the controller writes.
func BySlice(s *corev1.Service) {
	s.Annotations[api.AnnotationRouting] = string(api.RoutingEndpointSlice)
	WithAddress(s)
}

// Selectorless makes a Service without a selector, whose candidates an annotation names.
func Selectorless(s *corev1.Service) {
	s.Annotations[api.AnnotationSelector] = "app=web"
	s.Spec.Selector = nil
	WithAddress(s)
}

// WithAddress gives a Service what the API server gives it.
func WithAddress(s *corev1.Service) {
	s.Spec.ClusterIP, s.Spec.IPFamilies = "10.1.0.1", []corev1.IPFamily{corev1.IPv4Protocol}
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}}
}

// WithAnnotation sets an annotation.
func WithAnnotation(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

// WithoutAnnotation removes an annotation.
func WithoutAnnotation(key string) func(*corev1.Service) {
	return func(s *corev1.Service) { delete(s.Annotations, key) }
}

// OptOut takes the annotation away that makes a Service an active-standby one.
var OptOut = WithoutAnnotation(api.AnnotationServiceMode)

// WithSelector adds a key to a Service's selector.
func WithSelector(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Selector[key] = value }
}

// NewPod returns a pod that has the label app=web, is Ready, and is otherwise as change
// makes it. The last digit of its name is that of its address.
func NewPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: map[string]string{"app": "web"}, OwnerReferences: Workload()},
		Spec:       corev1.PodSpec{NodeName: "node"},
	}
	SetReady(p)
	p.Status.PodIP = "10.0.0.1" + name[len(name)-1:]
	p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	for _, f := range change {
		f(p)
	}
	return p
}

// Workload is the owner of pods that are created anew.
func Workload() []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web", UID: "uid-of-the-workload", Controller: ptr.To(true)}}
}

// SetReady makes a pod Ready, from now on.
func SetReady(p *corev1.Pod) { setCondition(p, corev1.ConditionTrue) }

// SetNotReady makes a pod not Ready, from now on.
func SetNotReady(p *corev1.Pod) { setCondition(p, corev1.ConditionFalse) }

func setCondition(p *corev1.Pod, status corev1.ConditionStatus) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Now()}}
}

// SetTerminating makes a pod one that is being deleted.
func SetTerminating(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.Now()) }

// Graceful makes a pod terminate when it is deleted, until its grace period is over or Stop
// ends it.
func Graceful(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30) }

// WithLabel sets a label of a pod.
func WithLabel(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[key] = value }
}

// OnNode puts a pod on a node.
func OnNode(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeName = name }
}

// In puts an object into another namespace.
func In[T metav1.Object](namespace string) func(T) {
	return func(o T) { o.SetNamespace(namespace) }
}

// NewNode returns a node in a zone.
func NewNode(name, zone string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}
}

// Cordoned returns a node that is being drained.
func Cordoned(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: true}}
}

// Schedulable returns a node that is in use.
func Schedulable(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// ForeignLease returns a Lease that is not the controller's.
func ForeignLease(name, holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}
}
