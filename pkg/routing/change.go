// Package routing makes traffic follow the Lease's holder. It is pure: what must be
// written for an epoch is a function of the epoch's holder and of the objects as last
// read, and it comes out as changes in phases. The package does not know how the holder
// was chosen. It imports packages api, endpoints and observation.
package routing

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Kind is the kind of object that a Change is for.
type Kind string

// The kinds that the controller changes.
const (
	KindService       Kind = "Service"
	KindPod           Kind = "Pod"
	KindEndpointSlice Kind = "EndpointSlice"
	// KindServiceStatus is the status of a Service, of which the controller has one condition.
	KindServiceStatus Kind = "status of Service"
)

// Change is a write to one object. It applies only to the object and the version that it
// was made for. Services and pods belong to others and are patched; in the maps a nil
// value removes the key. EndpointSlices are the controller's own and are written as a
// whole.
type Change struct {
	Kind            Kind
	Namespace, Name string
	UID             types.UID
	ResourceVersion string

	Labels, Annotations map[string]*string
	// Selector is the selector of a Service.
	Selector map[string]*string
	// ManagedFields are what those of a Service must be, nil for no change.
	ManagedFields []metav1.ManagedFieldsEntry

	// Condition is that of a Service's status. It is taken away if it has no status.
	Condition metav1.Condition

	// Slice is what an EndpointSlice must be. It is created if it has no UID, and deleted
	// if Slice is nil.
	Slice *discoveryv1.EndpointSlice
}

func changeOf(kind Kind, object metav1.Object) Change {
	return Change{
		Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(),
		UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		Labels: map[string]*string{}, Annotations: map[string]*string{}, Selector: map[string]*string{},
	}
}

// Empty reports whether there is nothing to write. It is false of every change of an
// EndpointSlice or a condition: those are made only where something must be written.
func (c Change) Empty() bool {
	return c.Kind != KindEndpointSlice && c.Kind != KindServiceStatus && len(c.Labels)+len(c.Annotations)+len(c.Selector)+len(c.ManagedFields) == 0
}

// SetCondition returns the change that gives the Service the condition.
func SetCondition(s *corev1.Service, condition metav1.Condition) Change {
	c := changeOf(KindServiceStatus, s)
	c.Condition = condition
	return c
}

// ReleaseCondition returns the change that takes the controller's condition from the Service. It
// does not depend on the Service's version, which the other changes of a clean-up have made old.
func ReleaseCondition(s *corev1.Service) Change {
	c := SetCondition(s, metav1.Condition{Type: api.ConditionMasterReady})
	c.ResourceVersion = ""
	return c
}

// PatchType returns how the API server must merge what JSON returns: conditions by their type,
// beside those of others.
func (c Change) PatchType() types.PatchType {
	if c.Kind == KindServiceStatus {
		return types.StrategicMergePatchType
	}
	return types.MergePatchType
}

// JSON returns the body of a patch. The API server answers with a conflict if
// the object has another UID or resource version by then.
func (c Change) JSON() ([]byte, error) {
	type metadata struct {
		UID             types.UID                   `json:"uid,omitempty"`
		ResourceVersion string                      `json:"resourceVersion,omitempty"`
		Labels          map[string]*string          `json:"labels,omitempty"`
		Annotations     map[string]*string          `json:"annotations,omitempty"`
		ManagedFields   []metav1.ManagedFieldsEntry `json:"managedFields,omitempty"`
	}
	type spec struct {
		Selector map[string]*string `json:"selector,omitempty"`
	}
	type status struct {
		Conditions []any `json:"conditions"`
	}
	body := struct {
		Metadata metadata `json:"metadata"`
		Spec     *spec    `json:"spec,omitempty"`
		Status   *status  `json:"status,omitempty"`
	}{Metadata: metadata{c.UID, c.ResourceVersion, c.Labels, c.Annotations, c.ManagedFields}}
	switch {
	case c.Kind != KindServiceStatus:
	case c.Condition.Status == "":
		body.Status = &status{[]any{map[string]string{"$patch": "delete", "type": c.Condition.Type}}}
	default:
		body.Status = &status{[]any{c.Condition}}
	}
	if len(c.Selector) > 0 {
		body.Spec = &spec{c.Selector}
	}
	return json.Marshal(body)
}

// set adds key=value to changes unless current has it already.
func set(changes map[string]*string, current map[string]string, key, value string) {
	if have, found := current[key]; !found || have != value {
		changes[key] = &value
	}
}

// unset adds the removal of key to changes if current has the key.
func unset(changes map[string]*string, current map[string]string, key string) {
	if _, found := current[key]; found {
		changes[key] = nil
	}
}
