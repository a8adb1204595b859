package controller

import (
	"maps"
	"slices"
	"strings"
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
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// builtInDelay is how late Kubernetes' controllers usually hear of a change.
const builtInDelay = 100 * time.Millisecond

// builtInControllers do what Kubernetes' own controllers do about EndpointSlices: one writes
// those of Services with a selector, and the garbage collector deletes what a pod
// owned. They hear of one change after the other, each after the delay.
type builtInControllers struct {
	*cluster
	services map[string]*corev1.Service
	pods     map[string]*corev1.Pod
}

// runKubernetes runs them until they are stopped, or the test ends.
func (c *cluster) runKubernetes(delay time.Duration) (stop func()) {
	c.Helper()
	k := &builtInControllers{cluster: c, services: map[string]*corev1.Service{}, pods: map[string]*corev1.Pod{}}
	var watches []watch.Interface
	for _, resource := range []string{"services", "pods"} {
		action := clienttesting.NewWatchActionWithOptions(schema.GroupVersionResource{Version: "v1", Resource: resource}, testNamespace, metav1.ListOptions{})
		w, err := c.server.watch(action, delay)
		if err != nil {
			c.Fatal(err)
		}
		watches = append(watches, w)
	}
	var running sync.WaitGroup
	running.Go(func() {
		services, pods := watches[0].ResultChan(), watches[1].ResultChan()
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
	})
	stop = sync.OnceFunc(func() {
		for _, w := range watches {
			w.Stop()
		}
		running.Wait()
	})
	c.Cleanup(stop)
	return stop
}

func (k *builtInControllers) heardOfService(event watch.EventType, s *corev1.Service) {
	if event != watch.Deleted {
		k.services[s.Name] = s
		k.publish(s)
		return
	}
	delete(k.services, s.Name)
	if err := k.users.DiscoveryV1().EndpointSlices(testNamespace).Delete(k.Context(), s.Name+"-k8s", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		k.Error(err)
	}
}

func (k *builtInControllers) heardOfPod(event watch.EventType, p *corev1.Pod) {
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

// publish writes the slice of the Service, which says of pods that are not Ready
// that they are not.
func (k *builtInControllers) publish(s *corev1.Service) {
	if len(s.Spec.Selector) == 0 {
		return
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name + "-k8s", Labels: map[string]string{
			discoveryv1.LabelServiceName: s.Name, discoveryv1.LabelManagedBy: observation.BuiltIn,
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, name := range slices.Sorted(maps.Keys(k.pods)) {
		if p := k.pods[name]; labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) && endpoints.Listable(p) {
			slice.Endpoints = append(slice.Endpoints, endpoints.Slices(s, p, "")[0].Endpoints...)
		}
	}
	client := k.users.DiscoveryV1().EndpointSlices(s.Namespace)
	live, err := client.Get(k.Context(), slice.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(k.Context(), slice, metav1.CreateOptions{})
	} else if err == nil {
		live.Endpoints = slice.Endpoints
		_, err = client.Update(k.Context(), live, metav1.UpdateOptions{})
	}
	if err != nil {
		k.Error(err)
	}
}

func (k *builtInControllers) collectGarbage(owner types.UID) {
	for _, s := range k.slices() {
		if len(s.OwnerReferences) > 0 && s.OwnerReferences[0].UID == owner {
			k.deleteSlice(s.Name)
		}
	}
}

func (c *cluster) slices() []discoveryv1.EndpointSlice {
	c.Helper()
	list, err := c.users.DiscoveryV1().EndpointSlices("").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return list.Items
}

// sliceLine is "name: [pod [(not ready)]] [@epoch][, of owner]"; empty for a slice of
// Kubernetes that lists nobody.
func (c *cluster) sliceLine(s *discoveryv1.EndpointSlice) string {
	line := qualified(s) + ":"
	for _, e := range s.Endpoints {
		line += " " + c.nameOf(string(e.TargetRef.UID))
		if !*e.Conditions.Ready {
			line += " (not ready)"
		}
	}
	if s.Labels[discoveryv1.LabelManagedBy] == observation.BuiltIn && len(s.Endpoints) == 0 {
		return ""
	}
	line += stamp(s)
	for _, owner := range s.OwnerReferences {
		line += ", of " + c.nameOf(string(owner.UID))
	}
	return line
}

// traffic notes, from now on and until it is asked, which pods get traffic, in the
// order of the changes.
func (c *cluster) traffic() (asked func() []string) {
	c.Helper()
	w, err := c.server.Watch(schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}, testNamespace)
	if err != nil {
		c.Fatal(err)
	}
	now := map[string]*discoveryv1.EndpointSlice{}
	for _, s := range c.slices() {
		now[s.Name] = &s
	}
	noted := []string{c.ready(now)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			s := event.Object.(*discoveryv1.EndpointSlice)
			now[s.Name] = s
			if event.Type == watch.Deleted {
				delete(now, s.Name)
			}
			if served := c.ready(now); served != noted[len(noted)-1] {
				noted = append(noted, served)
			}
		}
	}()
	return func() []string {
		w.Stop()
		<-done
		return noted
	}
}

// ready are the names of the pods that any of the slices lists as ready.
func (c *cluster) ready(all map[string]*discoveryv1.EndpointSlice) string {
	var names []string
	for uid, ready := range observation.Listed(slices.Collect(maps.Values(all))) {
		if ready {
			names = append(names, c.nameOf(string(uid)))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "+")
}
