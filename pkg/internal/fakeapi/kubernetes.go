package fakeapi

import (
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/scenario"
)

// BuiltInDelay is how late Kubernetes' controllers usually hear of a change.
const BuiltInDelay = 100 * time.Millisecond

// builtIn are Kubernetes' own controllers, as far as the controller has to do with them: one
// writes the EndpointSlices of Services with a selector, and the garbage collector deletes
// Leases and EndpointSlices whose owners are gone. They hear of one change after the other,
// each after the delay.
type builtIn struct {
	*Cluster
	services map[string]*corev1.Service
	pods     map[string]*corev1.Pod
}

// RunKubernetes runs Kubernetes' own controllers until they are stopped, or the test ends.
func (c *Cluster) RunKubernetes(delay time.Duration) (stop func()) {
	c.Helper()
	k := &builtIn{Cluster: c, services: map[string]*corev1.Service{}, pods: map[string]*corev1.Pod{}}
	services, pods := c.watchOf("services", delay), c.watchOf("pods", delay)
	var running sync.WaitGroup
	running.Go(func() { k.run(services.ResultChan(), pods.ResultChan()) })
	stop = sync.OnceFunc(func() {
		services.Stop()
		pods.Stop()
		running.Wait()
	})
	c.Cleanup(stop)
	return stop
}

func (c *Cluster) watchOf(resource string, delay time.Duration) watch.Interface {
	c.Helper()
	action := clienttesting.NewWatchActionWithOptions(schema.GroupVersionResource{Version: "v1", Resource: resource}, Namespace, metav1.ListOptions{})
	w, err := c.Server.watch(action, delay)
	if err != nil {
		c.Fatal(err)
	}
	return w
}

func (k *builtIn) run(services, pods <-chan watch.Event) {
	for services != nil || pods != nil {
		select {
		case event, ok := <-services:
			if !ok {
				services = nil
				continue
			}
			k.heardOfService(event.Type, event.Object.(*corev1.Service))
		case event, ok := <-pods:
			if !ok {
				pods = nil
				continue
			}
			k.heardOfPod(event.Type, event.Object.(*corev1.Pod))
		}
	}
}

func (k *builtIn) heardOfService(event watch.EventType, s *corev1.Service) {
	if event != watch.Deleted {
		k.services[s.Name] = s
		k.publish(s)
		return
	}
	delete(k.services, s.Name)
	k.delete(k.Users.DiscoveryV1().EndpointSlices(Namespace), sliceName(s))
	k.collectGarbage(s.UID)
}

func (k *builtIn) heardOfPod(event watch.EventType, p *corev1.Pod) {
	if event != watch.Deleted {
		k.pods[p.Name] = p
	} else {
		delete(k.pods, p.Name)
		k.collectGarbage(p.UID)
	}
	for _, s := range k.services {
		k.publish(s)
	}
}

func sliceName(s *corev1.Service) string { return s.Name + "-k8s" }

// publish writes the slice of the Service. It lists pods that are not Ready as such.
func (k *builtIn) publish(s *corev1.Service) {
	if len(s.Spec.Selector) == 0 {
		return
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: s.Namespace, Name: sliceName(s), Labels: maps.Clone(s.Labels)},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	if slice.Labels == nil {
		slice.Labels = map[string]string{}
	}
	slice.Labels[discoveryv1.LabelServiceName], slice.Labels[discoveryv1.LabelManagedBy] = s.Name, scenario.BuiltIn
	for _, name := range slices.Sorted(maps.Keys(k.pods)) {
		if p := k.pods[name]; labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) && endpoints.Listable(p) {
			slice.Endpoints = append(slice.Endpoints, endpoints.Slices(s, p, "")[0].Endpoints...)
		}
	}
	client := k.Users.DiscoveryV1().EndpointSlices(s.Namespace)
	live, err := client.Get(k.Context(), slice.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(k.Context(), slice, metav1.CreateOptions{})
	} else if err == nil {
		live.Endpoints, live.Labels = slice.Endpoints, slice.Labels
		_, err = client.Update(k.Context(), live, metav1.UpdateOptions{})
	}
	if err != nil {
		k.Error(err)
	}
}

// collectGarbage deletes what has no other owner than the object that is gone.
func (k *builtIn) collectGarbage(gone types.UID) {
	for _, s := range k.Slices() {
		if k.orphaned(&s, gone) {
			k.delete(k.Users.DiscoveryV1().EndpointSlices(Namespace), s.Name)
		}
	}
	leases, err := k.Users.CoordinationV1().Leases(Namespace).List(k.Context(), metav1.ListOptions{})
	if err != nil {
		k.Error(err)
		return
	}
	for _, l := range leases.Items {
		if k.orphaned(&l, gone) {
			k.delete(k.Users.CoordinationV1().Leases(Namespace), l.Name)
		}
	}
}

func (k *builtIn) orphaned(o metav1.Object, gone types.UID) bool {
	owners := o.GetOwnerReferences()
	return len(owners) == 1 && owners[0].UID == gone
}

// delete deletes what the controller may have deleted before.
func (k *builtIn) delete(objects Deletable, name string) {
	if err := objects.Delete(k.Context(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		k.Error(err)
	}
}
