//go:build integration

package local

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const namespace = metav1.NamespaceDefault

var web = map[string]string{"app": "web"}

// The control plane runs a Service, its pods and what controls them.
func TestCluster(t *testing.T) {
	plane := startPlane(t, Options{})
	client := kubernetes.NewForConfigOrDie(plane.Admin.Config)
	ctx := t.Context()

	mustCreate(t, client.AppsV1().Deployments(namespace).Create, newDeployment(2))
	mustCreate(t, client.CoreV1().Services(namespace).Create, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector:       web,
			IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack),
			Ports:          []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	})
	var pods []corev1.Pod
	eventually(t, "two ready pods in both slices", func() bool {
		pods = listPods(t, client)
		return len(pods) == 2 && isPodReady(&pods[0]) && isPodReady(&pods[1]) &&
			slicesHave(t, client, podNames(pods)...)
	})
	if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		t.Errorf("both pods are on %s", pods[0].Spec.NodeName)
	}

	t.Run("a pod that is patched NotReady stays so", func(t *testing.T) {
		patch := `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`
		_, err := client.CoreV1().Pods(namespace).Patch(ctx, pods[0].Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "slices with the other pod alone", func() bool {
			return slicesHave(t, client, pods[1].Name)
		})
		// If kwok acted on the patched pod, it would do so before it makes a later pod Ready.
		if _, err := client.CoreV1().Pods(namespace).Patch(ctx, pods[0].Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"touched":"yes"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		createReady(t, client, newPod("after"))
		pod, err := client.CoreV1().Pods(namespace).Get(ctx, pods[0].Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if isPodReady(pod) {
			t.Error("kwok has turned the pod back to Ready")
		}
	})

	t.Run("a deleted pod is replaced", func(t *testing.T) {
		if err := client.CoreV1().Pods(namespace).Delete(ctx, pods[0].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "two ready pods, one of them new", func() bool {
			now := podNames(listPods(t, client))
			return len(now) == 2 && !slices.Contains(now, pods[0].Name) && slicesHave(t, client, now...)
		})
	})

	t.Run("a pod with a finalizer stays terminating", func(t *testing.T) {
		pod := newPod("held")
		pod.Finalizers = []string{"example.com/hold"}
		createReady(t, client, pod)
		if err := client.CoreV1().Pods(namespace).Delete(ctx, "held", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "kwok has ended the grace period", func() bool {
			pod, err := client.CoreV1().Pods(namespace).Get(ctx, "held", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
		})
		if _, err := client.CoreV1().Pods(namespace).Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the pod is gone", func() bool {
			_, err := client.CoreV1().Pods(namespace).Get(ctx, "held", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})

	t.Run("a StatefulSet gets its volumes", func(t *testing.T) {
		mustCreate(t, client.AppsV1().StatefulSets(namespace).Create, newStatefulSet(2))
		eventually(t, "two ready replicas", func() bool {
			set, err := client.AppsV1().StatefulSets(namespace).Get(ctx, "db", metav1.GetOptions{})
			return err == nil && set.Status.ReadyReplicas == 2
		})
	})

	t.Run("kubectl works", func(t *testing.T) {
		output, err := exec.CommandContext(ctx, plane.Kubectl, "--kubeconfig", plane.Admin.Kubeconfig, "get", "nodes", "-o", "name").CombinedOutput()
		if want := "node/node-1\nnode/node-2\nnode/node-3\n"; err != nil || string(output) != want {
			t.Errorf("kubectl get nodes: %v\n%s", err, output)
		}
	})

	t.Run("an API server that is frozen answers when it thaws", func(t *testing.T) {
		thaw, err := plane.Freeze(apiServer)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := client.CoreV1().Nodes().List(short, metav1.ListOptions{}); err == nil {
			t.Error("it answers while it is frozen")
		}
		if err := thaw(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
			t.Error(err)
		}
	})

	t.Run("a ServiceAccount may do only what RBAC allows", func(t *testing.T) {
		user, err := plane.ServiceAccount(ctx, namespace, "default")
		if err != nil {
			t.Fatal(err)
		}
		client := kubernetes.NewForConfigOrDie(user.Config)
		if _, err := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("list secrets: %v, want forbidden", err)
		}
		audit, err := os.ReadFile(plane.AuditLog)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(audit, []byte(`"user":{"username":"system:serviceaccount:default:default"`)); got != 1 {
			t.Errorf("the audit log has %d of its requests, want 1", got)
		}
	})
}

func newPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}
}

func newDeployment(replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: web},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: web}, Spec: newPod("").Spec},
		},
	}
}

func newStatefulSet(replicas int32) *appsv1.StatefulSet {
	labels := map[string]string{"app": "db"}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: newPod("").Spec},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				},
			}},
		},
	}
}

func mustCreate[T any](t *testing.T, create func(context.Context, T, metav1.CreateOptions) (T, error), object T) {
	t.Helper()
	if _, err := create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func createReady(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) {
	t.Helper()
	mustCreate(t, client.CoreV1().Pods(namespace).Create, pod)
	eventually(t, pod.Name+" is ready", func() bool {
		pod, err := client.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		return err == nil && isPodReady(pod)
	})
}

// eventually waits for a condition, far longer than it should take.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func listPods(t *testing.T, client kubernetes.Interface) []corev1.Pod {
	t.Helper()
	list, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func podNames(pods []corev1.Pod) (names []string) {
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}

func isPodReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

// slicesHave reports whether the Service has a slice of each address family, and
// each slice lists exactly these pods as ready.
func slicesHave(t *testing.T, client kubernetes.Interface, pods ...string) bool {
	t.Helper()
	list, err := client.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(pods)
	families := map[discoveryv1.AddressType]bool{}
	addresses := map[string]bool{}
	for _, slice := range list.Items {
		var ready []string
		for _, endpoint := range slice.Endpoints {
			if *endpoint.Conditions.Ready {
				ready = append(ready, endpoint.TargetRef.Name)
				addresses[endpoint.Addresses[0]] = true
			}
		}
		slices.Sort(ready)
		families[slice.AddressType] = slices.Equal(ready, pods)
	}
	return families[discoveryv1.AddressTypeIPv4] && families[discoveryv1.AddressTypeIPv6] && len(addresses) == 2*len(pods)
}
