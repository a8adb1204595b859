package chaos

import (
	"context"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// namespace is where all of it happens.
const namespace = "chaos"

// finalizerStop keeps a pod terminating until the run takes the finalizer away, because
// the pods of the local control plane stop at once.
const finalizerStop = "chaos.example.com/stop"

// Each application has as many pods, which have its name and a number.
const podsOfEach = 3

// apps are the applications, and whether their pods take time to stop.
var apps = []struct {
	name  string
	slow  bool
	leads []string // the elections among its pods
}{
	{name: "web", leads: []string{"web", "overlap"}},
	{name: "slices", leads: []string{"slices"}},
	{name: "label", leads: []string{"label"}},
	{name: "stopped", slow: true, leads: []string{"stopped"}},
	{name: "demoted", slow: true, leads: []string{"demoted"}},
	{name: "fenced", leads: []string{"fenced"}},
	{name: "shared", leads: []string{"shared"}},
	{name: "bare", leads: []string{"bare"}},
	{name: "preferred", leads: []string{"preferred"}},
}

// manifests are the Services as a user has written them.
var manifests = []*corev1.Service{
	manifest("web", "web", nil, dual),
	manifest("slices", "slices", settings{api.AnnotationRouting: string(api.RoutingEndpointSlice)}, dual),
	manifest("label", "label", nil, func(s *corev1.Service) { s.Spec.Selector[api.LabelDesignation] = api.DesignationActive }),
	manifest("stopped", "stopped", settings{api.AnnotationHandover: api.HandoverAfterTermination}),
	manifest("demoted", "demoted", settings{
		api.AnnotationHandover: api.HandoverAfterTermination, api.AnnotationOnDemote: api.OnDemoteDelete, api.AnnotationRouting: string(api.RoutingEndpointSlice),
	}),
	manifest("fenced", "fenced", settings{api.AnnotationLeaseDuration: "5s"}),
	manifest("shared", "shared", nil),
	manifest("shared-headless", "shared", settings{api.AnnotationLeaseName: "shared", api.AnnotationRouting: string(api.RoutingEndpointSlice)}, headless),
	manifest("bare", "bare", settings{api.AnnotationSelector: "app=bare"}, func(s *corev1.Service) { s.Spec.Selector = nil }),
	manifest("preferred", "preferred", settings{
		api.AnnotationPrefer: "apps.kubernetes.io/pod-index=0", api.AnnotationFailback: "3s", api.AnnotationFailoverDelay: "1s",
	}),
	// It is younger than web, with the same pods.
	manifest("overlap", "web", nil, headless),
}

type settings = map[string]string

func manifest(name, app string, annotations settings, edits ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"set": app}, Annotations: settings{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": app},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	maps.Copy(s.Annotations, annotations)
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func dual(s *corev1.Service)     { s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack) }
func headless(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }

// elections are the names of the Leases.
func elections() (names []string) {
	for _, app := range apps {
		names = append(names, app.leads...)
	}
	return names
}

func appAt(a int) string { return apps[a%len(apps)].name }

func electionAt(a int) string {
	leads := apps[a%len(apps)].leads
	return leads[a/len(apps)%len(leads)]
}

func manifestAt(a int) *corev1.Service {
	var of []*corev1.Service
	for _, m := range manifests {
		if m.Labels["set"] == appAt(a) {
			of = append(of, m)
		}
	}
	return of[a/len(apps)%len(of)]
}

func podName(app string, n int) string { return fmt.Sprintf("%s-%d", app, n%podsOfEach) }

// create makes the namespace, the pods and the Services.
func create(ctx context.Context, client kubernetes.Interface, edit func(metav1.Object)) error {
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, app := range apps {
		set := map[string]string{"set": app.name}
		template := corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"set": app.name, "app": app.name, "tier": "fast"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}
		if app.slow {
			template.Finalizers = []string{finalizerStop}
		}
		_, err := client.AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: app.name},
			Spec: appsv1.StatefulSetSpec{
				Replicas: ptr.To[int32](podsOfEach), PodManagementPolicy: appsv1.ParallelPodManagement,
				Selector: &metav1.LabelSelector{MatchLabels: set}, Template: template,
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	for _, m := range manifests {
		service := m.DeepCopy()
		edit(service)
		if _, err := client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
