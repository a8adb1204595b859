package scale

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/scale/results"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// each does something for 0 to n-1, some of them at once. It returns the first error.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var doing sync.WaitGroup
	for range writers {
		doing.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	doing.Wait()
	return context.Cause(ctx)
}

// createNamespace creates a namespace with the ServiceAccount that its pods need. Kubernetes'
// controller would take a minute to create it in a thousand namespaces.
func createNamespace(ctx context.Context, client kubernetes.Interface, name string) error {
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := client.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// heartbeat is how often a kubelet renews the Lease of its node.
const heartbeat = 10 * time.Second

const (
	// heartbeats is the namespace of these Leases.
	heartbeats = corev1.NamespaceNodeLease
	// renewers is how many Leases are renewed at once: thousands of nodes need hundreds of
	// renewals in a second.
	renewers = 8
)

func nodeName(i int) string { return fmt.Sprintf("scale-%04d", i) }

// playNodes creates nodes and does for them what their kubelets do, until ctx is done.
func playNodes(ctx context.Context, client kubernetes.Interface, count int) error {
	err := each(ctx, count, func(ctx context.Context, i int) error {
		now := metav1.Now()
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%3+1)}},
			Status: corev1.NodeStatus{
				Capacity:    corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10000")},
				Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10000")},
				Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: now, LastTransitionTime: now}},
			},
		}
		if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: nodeName(i)},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(nodeName(i)), LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NowMicro())},
		}
		_, err := client.CoordinationV1().Leases(heartbeats).Create(ctx, lease, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	for first := range min(count, renewers) {
		go func() {
			ticker := time.NewTicker(heartbeat * time.Duration(min(count, renewers)) / time.Duration(count))
			defer ticker.Stop()
			for i := first; ; {
				select {
				case <-ctx.Done():
					return
				case now := <-ticker.C:
					renewal := fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, now.UTC().Format(metav1.RFC3339Micro))
					// If it fails, the next one comes soon.
					_, _ = client.CoordinationV1().Leases(heartbeats).Patch(ctx, nodeName(i), types.MergePatchType, renewal, metav1.PatchOptions{})
				}
				if i += renewers; i >= count {
					i = first
				}
			}
		}()
	}
	return nil
}

// election names a Service, its Lease and the prefix of its pods.
type election = types.NamespacedName

// elections returns the names of a load's elections.
func elections(l results.Load) (all []election) {
	for i := range l.Elections {
		all = append(all, election{Namespace: fmt.Sprintf("scale-%04d", i%l.Namespaces), Name: fmt.Sprintf("web-%05d", i)})
	}
	return all
}

func podName(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }

// createPod creates a pod on a node, which is Ready.
func createPod(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, ip string) error {
	pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "web"}}
	pod.Spec.AutomountServiceAccountToken = ptr.To(false)
	if _, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	status := fmt.Appendf(nil, `{"status":{"phase":"Running","startTime":%q,"hostIP":"192.168.1.1","podIP":%q,"podIPs":[{"ip":%q}],`+
		`"containerStatuses":[{"name":"web","image":"web","imageID":"","ready":true,"started":true,"restartCount":0,"state":{"running":{"startedAt":%q}}}],"conditions":[`+
		`{"type":"Initialized","status":"True","lastTransitionTime":%q},`+
		`{"type":"ContainersReady","status":"True","lastTransitionTime":%q},{"type":"Ready","status":"True","lastTransitionTime":%q}]}}`, now, ip, ip, now, now, now, now)
	_, err := client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status")
	return err
}

// createPods creates the pods of elections, spread over the nodes.
func createPods(ctx context.Context, client kubernetes.Interface, all []election, nodes int) error {
	return each(ctx, candidates*len(all), func(ctx context.Context, i int) error {
		of := all[i/candidates]
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: podName(of.Name, i%candidates), Labels: map[string]string{"app": of.Name}}}
		pod.Spec.NodeName = nodeName(i % nodes)
		return createPod(ctx, client, pod, fmt.Sprintf("10.%d.%d.%d", 64+i>>16, i>>8&0xff, i&0xff))
	})
}

// setReady does what kubelet does when a readiness probe changes its mind.
func setReady(ctx context.Context, client kubernetes.Interface, namespace, pod string, ready bool) error {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Appendf(nil, `{"status":{"conditions":[{"type":"ContainersReady","status":%q,"lastTransitionTime":%q},{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, status, now, status, now)
	_, err := client.CoreV1().Pods(namespace).Patch(ctx, pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// service is the Service of an election. With routing endpointslice it has no selector, so
// that Kubernetes' own controller makes no slices of it.
func service(of election, routing string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: of.Name, Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec: corev1.ServiceSpec{
			// Without an address, of which there are 65,534.
			ClusterIP: corev1.ClusterIPNone, IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack), IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	if routing == results.Selector {
		s.Spec.Selector = map[string]string{"app": of.Name}
	} else {
		s.Annotations[api.AnnotationRouting] = routing
		s.Annotations[api.AnnotationSelector] = "app=" + of.Name
	}
	return s
}

func createService(ctx context.Context, client kubernetes.Interface, s *corev1.Service) error {
	_, err := client.CoreV1().Services(s.Namespace).Create(ctx, s, metav1.CreateOptions{})
	return err
}

// errUnserved ends the measurement of a load whose elections were not all served.
var errUnserved = errors.New("not all elections were served")
