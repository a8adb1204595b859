package api

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Settings is what a Service asks for. Only Parse makes one.
type Settings struct {
	// LeaseName is the name of the election's Lease, in the Service's namespace.
	LeaseName string
	Routing   Routing
	// Candidates selects the pods that can become master: the Service's own selector
	// without the controller's keys, or the selector of AnnotationSelector.
	Candidates labels.Selector
	// Selectorless reports whether the Service's selector is empty. Nothing is written to such a
	// Service but its condition. A label that is left of when it had a selector is taken away.
	Selectorless bool
	Election
}

// Election is what a Service asks of its election. If Services share a Lease, the
// settings of the Service with the Lease's name apply, or else those of the oldest, even
// if that Service cannot be served. A Service that selects no pod of the others has no say.
type Election struct {
	// Prefer selects the preferred candidates. By default it selects none.
	Prefer labels.Selector
	// Probe is the zero value if the controller does not probe the pods.
	Probe Probe
	// Failback is how long a preferred pod must have been Ready, and the master been
	// master, before the master moves back to that pod. It is nil for never.
	Failback *time.Duration
	// FailoverDelay is how long the controller waits for a master that is not
	// eligible, but exists.
	FailoverDelay time.Duration
	// Paused keeps the Lease's holder master, whatever happens.
	Paused bool
	// AfterTermination elects no pod before the former master has stopped.
	AfterTermination bool
	// DeleteDemoted deletes the pod that is no longer master, or that must make room
	// for the next master.
	DeleteDemoted bool
	// StayOnCordon keeps the master on a node that is cordoned.
	StayOnCordon bool
	// LeaseDuration is how long the Lease is valid after each renewal, in whole
	// seconds. If it is 0, the Lease is valid for ever and is not renewed.
	LeaseDuration time.Duration
	// KeepDuration: the duration that the Service asks for cannot be read, so the Lease keeps
	// the one that it has.
	KeepDuration bool
}

// Limits of AnnotationLeaseDuration. A shorter duration would expire when the API
// server restarts or the controller is updated. A longer one would keep the next
// master waiting for more than an hour.
const (
	MinLeaseDuration = 3 * time.Second
	MaxLeaseDuration = time.Hour
)

// Differs names the annotations in which two Services of one election contradict
// each other. All settings of a probe count as AnnotationProbe.
func (e Election) Differs(other Election) (keys []string) {
	for _, a := range annotations {
		if a.differs != nil && a.differs(e, other) {
			keys = append(keys, a.Key)
		}
	}
	return keys
}

// Problem is something in a Service that the controller cannot do as asked.
type Problem struct {
	// Reason is the reason of the Warning event.
	Reason string
	// Message names the key, its value and what is allowed.
	Message string
}

// Parse reads the settings of a Service that is Annotated. It returns true if the
// Service can be served. There may be problems all the same: then a default, or what is
// safe, applies in the place of each value that is not valid. Of a Service that cannot be
// served it returns what that asks of its election: a typing error in one annotation does
// not switch off the others.
func Parse(service *corev1.Service) (settings Settings, problems []Problem, ok bool) {
	p := parser{service: service, Settings: defaults(service)}
	refused := p.refused()
	for i := range annotations {
		if value, found := service.Annotations[annotations[i].Key]; found {
			p.read(&annotations[i], value)
		}
	}
	p.combine()
	if refused != nil {
		return Settings{Election: p.Election}, []Problem{*refused}, false
	}
	return p.Settings, append(p.problems, unknown(ObjectService, service.Annotations)...), true
}

func defaults(service *corev1.Service) Settings {
	return Settings{
		LeaseName: service.Name,
		Routing:   RoutingSelector,
		Election: Election{
			Prefer: labels.Nothing(),
			Probe:  defaultProbe(),
		},
	}
}
