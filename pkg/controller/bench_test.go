package controller

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// filled is a controller whose caches have so many elections of one namespace, of three pods
// each. It does not run.
func filled(b *testing.B, elections int) *Controller {
	b.Helper()
	c, err := New(fake.NewClientset(), &fakeapi.Recorder{}, nil, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	c.pods.start(ctx, &running)
	c.published.start(ctx, &running)
	pods, err := c.pods.watch("default")
	if err != nil {
		b.Fatal(err)
	}
	cache.WaitForCacheSync(ctx.Done(), pods.informer.HasSynced)
	add := func(indexer cache.Indexer, o any) {
		if err := indexer.Add(o); err != nil {
			b.Fatal(err)
		}
	}
	for i := range elections {
		name := fmt.Sprintf("web-%d", i)
		add(c.services.in("default").informer.GetIndexer(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}},
		})
		for n := range 3 {
			add(pods.informer.GetIndexer(), benchPod(name, n))
		}
	}
	return c
}

func benchPod(name string, n int) *corev1.Pod {
	pod := fmt.Sprintf("%s-%d", name, n)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod, UID: types.UID("uid-" + pod), Labels: map[string]string{"app": name}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

func sizes(b *testing.B, run func(b *testing.B, c *Controller)) {
	b.Helper()
	for _, elections := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("elections=%d", elections), func(b *testing.B) {
			c := filled(b, elections)
			b.ReportAllocs()
			run(b, c)
		})
	}
}

// BenchmarkEvent is of a pod that turns NotReady, until the keys of its elections are queued.
func BenchmarkEvent(b *testing.B) {
	sizes(b, func(b *testing.B, c *Controller) {
		b.Helper()
		before, now := benchPod("web-7", 0), benchPod("web-7", 0)
		now.Status.Conditions[0].Status = corev1.ConditionFalse
		handler := c.podHandler()
		for b.Loop() {
			handler.OnUpdate(before, now)
		}
		if got := c.queue.Len(); got != 1 {
			b.Fatalf("%d elections are queued", got)
		}
	})
}

// BenchmarkGather is of what the caches have of one election, and of the look at it.
func BenchmarkGather(b *testing.B) {
	sizes(b, func(b *testing.B, c *Controller) {
		b.Helper()
		for b.Loop() {
			in, err := c.gatherCached(key{Namespace: "default", Name: "web-7"})
			if err != nil {
				b.Fatal(err)
			}
			if o := observation.Look(in); len(o.Pods) != 3 {
				b.Fatalf("it sees %d pods", len(o.Pods))
			}
		}
	})
}

// wire is an object as the API server sends it.
type wire[T any] interface {
	*T
	cache.Object
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// benchmarkCached reports how many bytes a cache takes of an object with its indexes, as it comes
// from the API server.
func benchmarkCached[T any, O wire[T]](b *testing.B, indexers cache.Indexers, trim func(O), object func(i int) O) {
	b.Helper()
	const many = 10_000
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	for b.Loop() {
		indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
		before := heap()
		for i := range many {
			data, err := object(i).Marshal()
			if err != nil {
				b.Fatal(err)
			}
			received := O(new(T))
			if err := received.Unmarshal(data); err != nil {
				b.Fatal(err)
			}
			trim(received)
			if err := indexer.Add(received); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/many, "bytes/object")
		runtime.KeepAlive(indexer)
	}
}

// BenchmarkMemory is of the caches: a hundred elections in a namespace, with three pods each.
func BenchmarkMemory(b *testing.B) {
	meta := func(i, ofNamespace int, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: fmt.Sprintf("namespace-%d", i/ofNamespace), Name: fmt.Sprintf("%s-%05d", name, i), UID: types.UID(fmt.Sprintf("3f0c1f5e-7c55-4d7e-9d5c-%012d", i)),
			ResourceVersion: strconv.Itoa(1_000_000 + i), CreationTimestamp: metav1.Now(),
			Labels:        map[string]string{"app.kubernetes.io/name": fmt.Sprintf("web-%d", i*100/ofNamespace)},
			Annotations:   map[string]string{"example.com/checksum": strings.Repeat("c", 64)},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{}}}`)}},
		}
	}
	owner := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web", UID: "3f0c1f5e-7c55-4d7e-9d5c-5d2c1f0e7a11", Controller: ptr.To(true)}}
	b.Run("pod", func(b *testing.B) {
		benchmarkCached(b, podIndexers, trimPod, func(i int) *corev1.Pod {
			p := &corev1.Pod{ObjectMeta: meta(i, 300, "web")}
			p.OwnerReferences = owner
			p.Labels["pod-template-hash"], p.Labels[api.LabelPodUID], p.Labels[api.LabelDesignation] = "7d4b9c6f5d", string(p.UID), "standby"
			p.Annotations[api.AnnotationLeaseTransitions] = "1"
			p.Spec = corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", i%100), Containers: []corev1.Container{{
				Name: "web", Image: "registry.example.com/web:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, Env: make([]corev1.EnvVar, 20),
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: strings.Clone("/healthz"), Port: intstr.FromString(strings.Clone("http")), Scheme: corev1.URIScheme(strings.Clone("HTTP"))}}, TimeoutSeconds: 1, PeriodSeconds: 10},
			}}}
			p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}, Conditions: []corev1.PodCondition{
				{Type: corev1.PodInitialized}, {Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()},
			}}
			return p
		})
	})
	service := func(i int) *corev1.Service {
		s := &corev1.Service{ObjectMeta: meta(i, 100, "web")}
		s.Spec = corev1.ServiceSpec{ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}, Selector: map[string]string{"app.kubernetes.io/name": s.Name}}
		return s
	}
	b.Run("annotated_Service", func(b *testing.B) {
		benchmarkCached(b, serviceIndexers, trimService, func(i int) *corev1.Service {
			s := service(i)
			s.Spec.Selector[api.LabelPodUID] = string(s.UID)
			s.Annotations[api.AnnotationServiceMode], s.Annotations[api.AnnotationLeaseTransitions] = api.ModeActiveStandby, "1"
			s.Status.Conditions = []metav1.Condition{{
				Type: api.ConditionMasterReady, Status: metav1.ConditionTrue, Reason: api.MasterReady, Message: strings.Clone(messageReady), LastTransitionTime: metav1.Now(),
			}}
			return s
		})
	})
	b.Run("other_Service", func(b *testing.B) { benchmarkCached(b, serviceIndexers, trimService, service) })
	b.Run("Lease", func(b *testing.B) {
		benchmarkCached(b, leaseIndexers, trimLease, func(i int) *coordinationv1.Lease {
			l := &coordinationv1.Lease{ObjectMeta: meta(i, 100, "web")}
			l.OwnerReferences = owner
			l.Annotations = map[string]string{api.AnnotationHolderUID: string(l.UID), api.AnnotationRecord: strings.Repeat("r", 200)}
			l.Spec = coordinationv1.LeaseSpec{HolderIdentity: ptr.To("web-0"), AcquireTime: ptr.To(metav1.NowMicro()), RenewTime: ptr.To(metav1.NowMicro()), LeaseTransitions: ptr.To[int32](1)}
			return l
		})
	})
	slice := func(i int) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{ObjectMeta: meta(i, 100, "web"), AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](80)}}}
		s.Labels = map[string]string{discoveryv1.LabelManagedBy: api.SliceManagedBy, discoveryv1.LabelServiceName: s.Name}
		s.OwnerReferences = owner
		s.Endpoints = []discoveryv1.Endpoint{{
			Addresses: []string{"10.0.0.1"}, NodeName: ptr.To("node-1"), Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: s.Namespace, Name: "web-0", UID: s.UID},
		}}
		return s
	}
	b.Run("own_EndpointSlice", func(b *testing.B) { benchmarkCached(b, sliceIndexers, trimSlice, slice) })
	b.Run("EndpointSlice_of_Kubernetes", func(b *testing.B) { benchmarkCached(b, sliceIndexers, trimPublished, slice) })
	b.Run("node", func(b *testing.B) {
		benchmarkCached(b, nil, trimNode, func(i int) *corev1.Node {
			n := &corev1.Node{ObjectMeta: meta(i, 100, "node")}
			n.Namespace, n.Labels[corev1.LabelTopologyZone] = "", "zone-1"
			return n
		})
	})
}
