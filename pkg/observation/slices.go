package observation

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// BuiltIn is the value of the label managed-by of the EndpointSlices that
// Kubernetes' own controller makes of a Service's selector.
const BuiltIn = "endpointslice-controller.k8s.io"

// NotBuiltIn is a label selector of all other EndpointSlices: the controller's own, and those
// of other programs.
const NotBuiltIn = discoveryv1.LabelManagedBy + "!=" + BuiltIn

// IsBuiltIn is a label selector of the EndpointSlices of Kubernetes' own controller.
const IsBuiltIn = discoveryv1.LabelManagedBy + "=" + BuiltIn

// ServiceOf names the Service to which the EndpointSlice belongs.
func ServiceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// Own reports whether the EndpointSlice is the controller's own.
func Own(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelManagedBy] == api.SliceManagedBy
}

// SliceNames returns the names of a Service's own slices, one for each address family. They are
// the same for every master and every replica, so a family cannot have two slices.
func SliceNames(service string) []string {
	return []string{SliceName(service, discoveryv1.AddressTypeIPv4), SliceName(service, discoveryv1.AddressTypeIPv6)}
}

// SliceName returns the name of a Service's own slice for an address family.
func SliceName(service string, family discoveryv1.AddressType) string {
	return service + "-master-" + strings.ToLower(string(family))
}

// Listed returns the pods that the slices list; true for those that are ready.
func Listed(all []*discoveryv1.EndpointSlice) map[types.UID]bool {
	listed := map[types.UID]bool{}
	for _, s := range all {
		for _, e := range s.Endpoints {
			if e.TargetRef != nil {
				ready := e.Conditions.Ready == nil || *e.Conditions.Ready
				listed[e.TargetRef.UID] = listed[e.TargetRef.UID] || ready
			}
		}
	}
	return listed
}

// readyPods returns the names of the pods that the slices list as ready, by their UID.
func readyPods(all []*discoveryv1.EndpointSlice) map[types.UID]string {
	ready := map[types.UID]string{}
	for _, s := range all {
		for _, e := range s.Endpoints {
			if e.TargetRef != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				ready[e.TargetRef.UID] = e.TargetRef.Name
			}
		}
	}
	return ready
}

// addSlices gives each member its slices, and adds a problem for each slice of another
// manager.
func (o *Observation) addSlices(all []*discoveryv1.EndpointSlice) {
	for i := range o.Members {
		m := &o.Members[i]
		var builtIn []*discoveryv1.EndpointSlice
		for _, s := range all {
			switch {
			case ServiceOf(s) != (types.NamespacedName{Namespace: m.Namespace, Name: m.Name}):
			case Own(s):
				m.Slices = append(m.Slices, believed(o, s))
			case s.Labels[discoveryv1.LabelManagedBy] == BuiltIn:
				builtIn = append(builtIn, s)
			default:
				o.foreignSlice(m.Service, s)
			}
		}
		m.Published = readyPods(m.Slices)
		if !m.Settings.Selectorless {
			maps.Copy(m.Published, readyPods(builtIn))
		}
		if m.HasSlices() {
			o.takenNames(m.Service, all)
		}
		if !m.Migrating() {
			continue
		}
		m.Listed, m.Followed = Listed(builtIn), followed(builtIn)
		if m.Settings.Selectorless && len(m.Listed) > 0 {
			// Kubernetes keeps them when a user removes the selector. From then on the user
			// maintains them.
			for _, s := range builtIn {
				o.foreignSlice(m.Service, s)
			}
		}
	}
}

// followed returns the value of LabelMigrating that all slices with a pod have in common.
func followed(builtIn []*discoveryv1.EndpointSlice) (value string) {
	first := true
	for _, s := range builtIn {
		if len(s.Endpoints) == 0 {
			continue
		}
		if !first && s.Labels[api.LabelMigrating] != value {
			return ""
		}
		value, first = s.Labels[api.LabelMigrating], false
	}
	return value
}

// foreignSlice adds the problem that the controller does not manage the Service's slice.
func (o *Observation) foreignSlice(service *corev1.Service, s *discoveryv1.EndpointSlice) {
	o.serviceProblem(service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
		"the EndpointSlice %s of this Service is not the controller's (%s); the endpoints that it lists get traffic beside the master. Delete it if they should not",
		s.Name, managerOf(s)))
}

// takenNames adds a problem for each slice of another manager that has a name which the
// controller needs.
func (o *Observation) takenNames(service *corev1.Service, all []*discoveryv1.EndpointSlice) {
	for _, s := range all {
		if !Own(s) && slices.Contains(SliceNames(service.Name), s.Name) {
			o.serviceProblem(service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
				"the EndpointSlice %s is not the controller's (%s), and has a name that the controller needs to route to the master; delete it", s.Name, managerOf(s)))
		}
	}
}

// managerOf returns the manager that the EndpointSlice names, for a message.
func managerOf(s *discoveryv1.EndpointSlice) string {
	if manager := s.Labels[discoveryv1.LabelManagedBy]; manager != "" {
		return "managed by " + strconv.Quote(manager)
	}
	return "it names no manager"
}
