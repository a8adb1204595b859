package fakeapi

import (
	"maps"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"qoqo.dev/active-standby-controller/pkg/scenario"
)

// Traffic notes which pods any EndpointSlice lists as ready, from now on and until it is
// asked. It answers with the names in the order of the changes, several at a time joined
// with "+".
func (c *Cluster) Traffic() (asked func() []string) {
	c.Helper()
	w, err := c.Server.Watch(schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}, Namespace)
	if err != nil {
		c.Fatal(err)
	}
	now := map[string]*discoveryv1.EndpointSlice{}
	for _, s := range c.Slices() {
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

func (c *Cluster) ready(all map[string]*discoveryv1.EndpointSlice) string {
	return scenario.Ready(maps.Values(all), c.Server.NameOf)
}
