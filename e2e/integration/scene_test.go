//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/guard"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// patience is how long a test waits for what should take milliseconds.
const patience = 30 * time.Second

// scene is a namespace for one test, under guard.
type scene struct {
	*testing.T
	namespace string
	guard     *guard.Guard
	// workload is the owner of the pods that are created.
	workload []metav1.OwnerReference
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := newNamespace(t)
	s.guard = guard.New(t, client, s.namespace)
	return s
}

// newNamespace is a scene that is not under guard yet.
func newNamespace(t *testing.T) *scene {
	t.Helper()
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, namespace: namespace.Name}
	s.eventually("the namespace's ServiceAccount exists", func() error {
		account, err := client.CoreV1().ServiceAccounts(s.namespace).Get(t.Context(), "default", metav1.GetOptions{})
		if err == nil {
			// It passes for the workload of the pods: the garbage collector finds that it exists, and
			// no controller adds or removes pods.
			s.workload = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ServiceAccount", Name: account.Name, UID: account.UID, Controller: ptr.To(true)}}
		}
		return err
	})
	return s
}

// eventually waits until the condition returns nil.
func (s *scene) eventually(what string, condition func() error) {
	s.Helper()
	assert.Eventually(s, patience, what, condition)
}

// service creates an active-standby Service of the pods labelled app=web. Its
// selector begins closed, so that the guard may watch from the first moment.
func (s *scene) service(name string, change ...func(*corev1.Service)) *corev1.Service {
	s.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web", api.LabelPodUID: api.NoPod},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	for _, f := range change {
		f(service)
	}
	return assert.Must(client.CoreV1().Services(s.namespace).Create(s.Context(), service, metav1.CreateOptions{}))(s)
}

// with sets an annotation of a Service that is created.
func with(key, value string) func(*corev1.Service) {
	return func(service *corev1.Service) { service.Annotations[key] = value }
}

func (s *scene) getService(name string) *corev1.Service {
	s.Helper()
	return assert.Must(client.CoreV1().Services(s.namespace).Get(s.Context(), name, metav1.GetOptions{}))(s)
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}}
}

// pod creates a pod labelled app=web, which becomes Ready by itself.
func (s *scene) pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	s.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}, OwnerReferences: s.workload}, Spec: podSpec()}
	for _, f := range change {
		f(pod)
	}
	return assert.Must(client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{}))(s)
}

// labelled gives a pod that is created a label.
func labelled(key, value string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Labels[key] = value }
}

// readyPods creates pods and waits until they are Ready, in their order.
func (s *scene) readyPods(names ...string) {
	s.Helper()
	for _, name := range names {
		s.pod(name)
		s.awaitReady(name)
	}
}

func (s *scene) awaitReady(name string) {
	s.Helper()
	s.eventually(name+" is Ready", func() error {
		pod, err := client.CoreV1().Pods(s.namespace).Get(s.Context(), name, metav1.GetOptions{})
		if err == nil && !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			// Of a pod that no node takes, they say why.
			err = fmt.Errorf("its conditions are %v", pod.Status.Conditions)
		}
		return err
	})
}

func (s *scene) getPod(name string) *corev1.Pod {
	s.Helper()
	return assert.Must(client.CoreV1().Pods(s.namespace).Get(s.Context(), name, metav1.GetOptions{}))(s)
}

// setReady does what kubelet does when a readiness probe changes its mind.
func (s *scene) setReady(name string, ready bool) {
	s.Helper()
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	now := metav1.Now()
	var conditions []corev1.PodCondition
	for _, t := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		conditions = append(conditions, corev1.PodCondition{Type: t, Status: status, LastTransitionTime: now})
	}
	body := assert.Must(json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}}))(s)
	assert.Must(client.CoreV1().Pods(s.namespace).Patch(s.Context(), name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status"))(s)
}

func (s *scene) deletePod(name string) {
	s.Helper()
	assert.Must(0, client.CoreV1().Pods(s.namespace).Delete(s.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))(s)
}

func (s *scene) lease(name string) *coordinationv1.Lease {
	s.Helper()
	return assert.Must(client.CoordinationV1().Leases(s.namespace).Get(s.Context(), name, metav1.GetOptions{}))(s)
}

// editHolder does what the README tells users to do for a switchover.
func (s *scene) editHolder(lease, holder string) {
	s.Helper()
	body := fmt.Appendf(nil, `{"spec":{"holderIdentity":%q}}`, holder)
	assert.Must(client.CoordinationV1().Leases(s.namespace).Patch(s.Context(), lease, types.MergePatchType, body, metav1.PatchOptions{}))(s)
}

// annotate sets an annotation of a Service; nil removes it.
func (s *scene) annotate(service, key string, value *string) {
	s.Helper()
	body := assert.Must(json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]*string{key: value}}}))(s)
	assert.Must(client.CoreV1().Services(s.namespace).Patch(s.Context(), service, types.MergePatchType, body, metav1.PatchOptions{}))(s)
}

// awaitMaster waits until the Lease says so, and until Service, pods and
// EndpointSlices follow from it; and returns the Lease.
func (s *scene) awaitMaster(service, master string, epoch int32) *coordinationv1.Lease {
	s.Helper()
	name := api.LeaseName(s.getService(service))
	s.eventually(fmt.Sprintf("%s is master of %s in epoch %d", master, service, epoch), func() error {
		lease, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := ptr.Deref(lease.Spec.HolderIdentity, ""); got != master || *lease.Spec.LeaseTransitions != epoch {
			return fmt.Errorf("the Lease's holder is %q in epoch %d", got, *lease.Spec.LeaseTransitions)
		}
		return s.follows(service, master, epoch)
	})
	return s.lease(name)
}

func (s *scene) follows(service, master string, epoch int32) error {
	pods, err := client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		want := api.DesignationStandby
		if pod.Name == master {
			want = api.DesignationActive
			if got := pod.Annotations[api.AnnotationLeaseTransitions]; got != fmt.Sprint(epoch) {
				return fmt.Errorf("pod %s is stamped %q", pod.Name, got)
			}
		}
		if got := pod.Labels[api.LabelDesignation]; got != want {
			return fmt.Errorf("pod %s is designated %q", pod.Name, got)
		}
	}
	return s.endpoints(service, master)
}

// endpoints checks that the EndpointSlices of each family list the pods as
// ready, and no others.
func (s *scene) endpoints(service string, want ...string) error {
	families := s.getService(service).Spec.IPFamilies
	list, err := client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return err
	}
	for _, family := range families {
		var got []string
		for _, slice := range list.Items {
			for _, e := range slice.Endpoints {
				if slice.AddressType == discoveryv1.AddressType(family) && ptr.Deref(e.Conditions.Ready, false) {
					got = append(got, e.TargetRef.Name)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("the %s endpoints of %s are %v", family, service, got)
		}
	}
	return nil
}

// awaitEvent waits for an event of the Service and returns its note.
func (s *scene) awaitEvent(service, reason string) (note string) {
	s.Helper()
	s.eventually("event "+reason+" of "+service, func() error {
		for _, e := range s.events(service) {
			if e.Reason == reason {
				note = e.Note
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
	return note
}

func (s *scene) events(service string) (found []eventsv1.Event) {
	s.Helper()
	for _, e := range assert.Must(client.EventsV1().Events(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		if e.Regarding.Kind == "Service" && e.Regarding.Name == service {
			found = append(found, e)
		}
	}
	return found
}
