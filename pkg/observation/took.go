package observation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/routing"
)

// Replace puts what the API server says of a pod, nil if it is gone, in the
// place of what the cache says.
func (o *Observation) Replace(name string, now *corev1.Pod) {
	i := slices.IndexFunc(o.Pods, func(p routing.Pod) bool { return p.Name == name })
	switch {
	case i < 0:
	case now == nil:
		o.Pods = slices.Delete(o.Pods, i, i+1)
	default:
		o.Pods[i].Pod = now
	}
}

// Took takes the result of a change up; nil means that the object is gone.
func (o *Observation) Took(p routing.Change, result runtime.Object) {
	switch now := result.(type) {
	case *corev1.Service:
		for i := range o.Members {
			if o.Members[i].UID == now.UID {
				o.Members[i].Service = now
			}
		}
	case *corev1.Pod:
		o.Replace(p.Name, now)
	case *discoveryv1.EndpointSlice:
		o.replaceSlice(p, now)
	case nil:
		if p.Kind == routing.KindEndpointSlice {
			o.replaceSlice(p, nil)
		} else {
			o.Replace(p.Name, nil)
		}
	}
}

// replaceSlice puts the result of a change in the place of what the EndpointSlice
// was before, nil for nothing.
func (o *Observation) replaceSlice(p routing.Change, now *discoveryv1.EndpointSlice) {
	for i := range o.Members {
		m := &o.Members[i]
		m.Slices = slices.DeleteFunc(slices.Clone(m.Slices), func(s *discoveryv1.EndpointSlice) bool { return s.Name == p.Name })
		if now != nil && ServiceOf(now).Name == m.Name {
			m.Slices = append(m.Slices, now)
		}
	}
}
