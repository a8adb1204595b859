package scenario

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func ofKubernetes(service string) string {
	return discoveryv1.LabelServiceName + "=" + service + "," + discoveryv1.LabelManagedBy + "=" + BuiltIn
}

// Traffic notes which pods the EndpointSlices list as ready, from now on.
type Traffic struct {
	lock  sync.Mutex
	watch watch.Interface
	noted []string
	done  sync.WaitGroup
}

// Follow begins to note.
func (h Hands) Follow(ctx context.Context) (*Traffic, error) {
	list, err := h.Client.DiscoveryV1().EndpointSlices(h.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	t := &Traffic{}
	now := map[string]*discoveryv1.EndpointSlice{}
	for _, s := range list.Items {
		now[s.Name] = &s
	}
	t.note(now)
	if t.watch, err = h.Client.DiscoveryV1().EndpointSlices(h.Namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion}); err != nil {
		return nil, err
	}
	t.done.Go(func() {
		for event := range t.watch.ResultChan() {
			s, ok := event.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				return
			}
			now[s.Name] = s
			if event.Type == watch.Deleted {
				delete(now, s.Name)
			}
			t.note(now)
		}
	})
	return t, nil
}

func (t *Traffic) note(now map[string]*discoveryv1.EndpointSlice) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if served := Ready(maps.Values(now)); len(t.noted) == 0 || t.noted[len(t.noted)-1] != served {
		t.noted = append(t.noted, served)
	}
}

// Noted returns what was noted so far: the names of the pods in the order of the changes,
// several at a time joined with "+".
func (t *Traffic) Noted() []string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return slices.Clone(t.noted)
}

// Line returns what was noted so far, as a line of a transcript.
func (t *Traffic) Line() string {
	noted := t.Noted()
	for i, served := range noted {
		noted[i] = cmp.Or(served, "nobody")
	}
	return "Traffic: " + strings.Join(noted, ", then ")
}

// Stop ends it.
func (t *Traffic) Stop() {
	t.watch.Stop()
	t.done.Wait()
}
