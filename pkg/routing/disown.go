package routing

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Server-side apply takes a Service's selector for one field. The client that changes the
// selector owns it, and an apply of another value is refused as a conflict with the owner. The
// controller therefore takes its claim out of the Service's managed fields. It can do that only
// in a request of its own: the API server adds the claim to the request that changes the
// selector.

// disown returns the change that takes the controller's claim to the selector out of the
// Service's managed fields; it is empty if there is none.
func disown(service *corev1.Service) Change {
	c := changeOf(KindService, service)
	var kept []metav1.ManagedFieldsEntry
	claimed := false
	for _, e := range service.ManagedFields {
		if e.Manager != api.ManagedBy || !claimsSelector(e) {
			kept = append(kept, e)
			continue
		}
		claimed = true
		if rest := withoutSelector(e.FieldsV1); rest != nil {
			e.FieldsV1 = rest
			kept = append(kept, e)
		}
	}
	switch {
	case !claimed:
	case len(kept) > 0:
		c.ManagedFields = kept
	default:
		// The API server takes an empty list for none that was given.
		c.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	}
	return c
}

// claimsSelector reports whether the entry is of a field manager that owns the selector.
func claimsSelector(e metav1.ManagedFieldsEntry) bool {
	_, found := fieldsOf(e.FieldsV1)[fieldSpec][fieldSelector]
	return found
}

const fieldSpec, fieldSelector = "f:spec", "f:selector"

// withoutSelector returns the fields without the selector; nil if there are no others.
func withoutSelector(f *metav1.FieldsV1) *metav1.FieldsV1 {
	fields := fieldsOf(f)
	delete(fields[fieldSpec], fieldSelector)
	if len(fields[fieldSpec]) == 0 {
		delete(fields, fieldSpec)
	}
	text, err := json.Marshal(fields)
	if err != nil || len(fields) == 0 {
		return nil
	}
	return metav1.NewFieldsV1(string(text))
}

// fieldsOf returns two levels of the fields; nil if they cannot be read.
func fieldsOf(f *metav1.FieldsV1) (fields map[string]map[string]json.RawMessage) {
	if f == nil || json.Unmarshal(f.GetRawBytes(), &fields) != nil {
		return nil
	}
	return fields
}
