package kubectl

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// events returns the events of the Service, and reports whether they may be listed.
func (c connection) events(ctx context.Context, s *corev1.Service) (of []eventsv1.Event, allowed bool, err error) {
	selector := fields.Set{"regarding.kind": "Service", "regarding.name": s.Name}.AsSelector().String()
	list, err := c.client.EventsV1().Events(s.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	switch {
	case apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("listing the events: %w", err)
	}
	// Events of an earlier Service of that name do not count.
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Kind != "Service" || e.Regarding.UID != s.UID }), true, nil
}
