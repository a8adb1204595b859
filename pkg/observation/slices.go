package observation

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// BuiltIn is the value of the label managed-by of the EndpointSlices that
// Kubernetes' own controller makes of a Service's selector.
const BuiltIn = "endpointslice-controller.k8s.io"

// NotBuiltIn is a label selector of the others: the controller's own, and those of
// others that are not Kubernetes'.
const NotBuiltIn = discoveryv1.LabelManagedBy + "!=" + BuiltIn

// ServiceOf names the Service that the EndpointSlice is of.
func ServiceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// Own says whether the EndpointSlice is the controller's own.
func Own(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelManagedBy] == api.SliceManagedBy
}

// HasSlices says whether the member has, or is to have, slices of its own.
func HasSlices(m routing.Member) bool {
	return m.Settings.Routing == api.RoutingEndpointSlice || len(m.Slices) > 0
}

// WithSlices adds the members' EndpointSlices, and reports those that are somebody
// else's.
func (o *Observation) WithSlices(of func(service types.NamespacedName) []*discoveryv1.EndpointSlice) {
	for i := range o.Members {
		m := &o.Members[i]
		m.Slices = nil
		for _, s := range of(types.NamespacedName{Namespace: m.Namespace, Name: m.Name}) {
			if Own(s) {
				m.Slices = append(m.Slices, s)
			} else {
				o.ForeignSlice(m.Service, s)
			}
		}
	}
}

// ForeignSlice reports an EndpointSlice of the Service that is somebody else's.
func (o *Observation) ForeignSlice(service *corev1.Service, s *discoveryv1.EndpointSlice) {
	o.ServiceProblem(service, api.ReasonForeignEndpointSlice, fmt.Sprintf(
		"the EndpointSlice %s of this Service is managed by %s, not by the controller; what it lists gets traffic beside the master. Delete it if it should not",
		s.Name, ManagerOf(s)))
}

// ManagerOf is who says to manage the EndpointSlice, for a message.
func ManagerOf(s *discoveryv1.EndpointSlice) string {
	if manager := s.Labels[discoveryv1.LabelManagedBy]; manager != "" {
		return strconv.Quote(manager)
	}
	return "nobody that it names"
}
