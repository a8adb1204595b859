package controller

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// What users, kubelets and other controllers do to a cluster.

// newService is annotated and selects app=web, and is otherwise as change
// makes it.
func newService(name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name, Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// bySlice is a Service whose EndpointSlices the controller writes.
func bySlice(s *corev1.Service) {
	s.Annotations[api.AnnotationRouting] = string(api.RoutingEndpointSlice)
	withAddress(s)
}

// selectorless is a Service without a selector, whose candidates an annotation names.
func selectorless(s *corev1.Service) {
	s.Annotations[api.AnnotationSelector] = "app=web"
	s.Spec.Selector = nil
	withAddress(s)
}

// withAddress gives a Service what the API server gives it.
func withAddress(s *corev1.Service) {
	s.Spec.ClusterIP, s.Spec.IPFamilies = "10.1.0.1", []corev1.IPFamily{corev1.IPv4Protocol}
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}}
}

func withAnnotation(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func withoutAnnotation(key string) func(*corev1.Service) {
	return func(s *corev1.Service) { delete(s.Annotations, key) }
}

func withSelector(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Selector[key] = value }
}

// newPod has the label app=web, is Ready, and is otherwise as change makes it.
func newPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "node"},
	}
	setReady(p)
	p.Status.PodIP = "10.0.0.1" + name[len(name)-1:]
	p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	for _, f := range change {
		f(p)
	}
	return p
}

func setReady(p *corev1.Pod)    { setCondition(p, corev1.ConditionTrue) }
func setNotReady(p *corev1.Pod) { setCondition(p, corev1.ConditionFalse) }

func setCondition(p *corev1.Pod, status corev1.ConditionStatus) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Now()}}
}

func setTerminating(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.Now()) }

func withLabel(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[key] = value }
}

func in[T metav1.Object](namespace string) func(T) {
	return func(o T) { o.SetNamespace(namespace) }
}

// create makes the objects one after the other, so that they differ in age.
func (c *cluster) create(objects ...runtime.Object) {
	c.Helper()
	for _, o := range objects {
		time.Sleep(time.Second)
		var err error
		switch o := o.(type) {
		case *corev1.Service:
			_, err = c.users.CoreV1().Services(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{FieldManager: "kubectl"})
		case *corev1.Pod:
			_, err = c.users.CoreV1().Pods(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		case *corev1.Node:
			_, err = c.users.CoreV1().Nodes().Create(c.Context(), o, metav1.CreateOptions{})
		case *discoveryv1.EndpointSlice:
			_, err = c.users.DiscoveryV1().EndpointSlices(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		case *coordinationv1.Lease:
			_, err = c.users.CoordinationV1().Leases(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		}
		if err != nil {
			c.Fatal(err)
		}
	}
}

func (c *cluster) editPod(name string, change func(*corev1.Pod)) {
	c.Helper()
	edit(c, c.users.CoreV1().Pods(testNamespace), name, change)
}

func (c *cluster) editService(name string, change func(*corev1.Service)) {
	c.Helper()
	edit(c, c.users.CoreV1().Services(testNamespace), name, change)
}

func (c *cluster) editLease(name string, change func(*coordinationv1.Lease)) {
	c.Helper()
	edit(c, c.users.CoordinationV1().Leases(testNamespace), name, change)
}

// switchTo edits the Lease's holder, as users do for a switchover.
func (c *cluster) switchTo(lease, pod string) {
	c.Helper()
	c.editLease(lease, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = &pod })
}

type editable[T runtime.Object] interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (T, error)
	Update(ctx context.Context, o T, options metav1.UpdateOptions) (T, error)
}

func edit[T runtime.Object](c *cluster, objects editable[T], name string, change func(T)) {
	c.Helper()
	o, err := objects.Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	change(o)
	if _, err = objects.Update(c.Context(), o, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		c.Fatal(err)
	}
}

type deletable interface {
	Delete(ctx context.Context, name string, options metav1.DeleteOptions) error
}

func (c *cluster) remove(objects deletable, name string) {
	c.Helper()
	if err := objects.Delete(c.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) deletePod(name string) {
	c.Helper()
	c.remove(c.users.CoreV1().Pods(testNamespace), name)
}

func (c *cluster) deleteService(name string) {
	c.Helper()
	c.remove(c.users.CoreV1().Services(testNamespace), name)
}

func (c *cluster) deleteLease(name string) {
	c.Helper()
	c.remove(c.users.CoordinationV1().Leases(testNamespace), name)
}

func (c *cluster) editSlice(name string, change func(*discoveryv1.EndpointSlice)) {
	c.Helper()
	edit(c, c.users.DiscoveryV1().EndpointSlices(testNamespace), name, change)
}

func (c *cluster) deleteSlice(name string) {
	c.Helper()
	c.remove(c.users.DiscoveryV1().EndpointSlices(testNamespace), name)
}

// cordoned is a node that is being drained.
func cordoned(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: true}}
}

func newNode(name, zone string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}
}

// foreignLease is somebody else's.
func foreignLease(name, holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}
}
