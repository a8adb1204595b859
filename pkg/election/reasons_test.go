package election

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The table of events says Warning of the reasons that users are warned of.
func TestEventTypes(t *testing.T) {
	for _, e := range Events() {
		reason := Reason(e.Reason)
		warns := reason == EditRefused || Decision{Reason: reason}.Problem()
		if (e.Type == corev1.EventTypeWarning) != warns {
			t.Errorf("%s has the type %q in the table, and warns: %v", reason, e.Type, warns)
		}
	}
}
