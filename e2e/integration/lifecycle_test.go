//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestOptOut(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("controller down %t", down), func(t *testing.T) {
			s := settled(t)
			s.guard.Opened("web")
			s.guard.MayGo("web")
			optOut := func() { s.annotate("web", api.AnnotationServiceMode, nil) }
			if down {
				without(t, optOut)
			} else {
				optOut()
			}
			s.awaitNothingLeft()
			s.eventually("all pods are served", func() error { return s.endpoints("web", "web-0", "web-1") })
			if got := s.getPod("web-1").Annotations[api.AnnotationDeletionCost]; got != "" {
				t.Errorf("deletion cost %s", got)
			}
		})
	}
}

func TestServiceDeleted(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("controller down %t", down), func(t *testing.T) {
			s := settled(t)
			s.guard.MayGo("web")
			deletion := func() {
				assert.Must(0, client.CoreV1().Services(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
				s.eventually("the garbage collector removes the Lease", func() error {
					if _, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), "web", metav1.GetOptions{}); err == nil {
						return fmt.Errorf("it is still there")
					}
					return nil
				})
			}
			if down {
				without(t, deletion)
			} else {
				deletion()
			}
			s.awaitNothingLeft()
		})
	}
}

// settled is a scene with a Service web, whose master is web-0, and web-1.
func settled(t *testing.T, change ...func(*corev1.Service)) *scene {
	t.Helper()
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web", change...)
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.awaitMaster("web", "web-0", 1)
	return s
}

func TestServiceRecreated(t *testing.T) {
	s := settled(t)
	s.editHolder("web", "web-1")
	s.awaitMaster("web", "web-1", 2)
	s.guard.MayGo("web")
	without(t, func() {
		assert.Must(0, client.CoreV1().Services(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
		s.service("web")
	})
	// The pods still say who it was, so that nobody has to move.
	s.awaitMaster("web", "web-1", 2)
}

func TestAnnotationEditedToNonsenseAndBack(t *testing.T) {
	s := settled(t)
	s.annotate("web", api.AnnotationServiceMode, ptr.To("active-activ"))
	if note := s.awaitEvent("web", api.ReasonUnknownServiceMode); !strings.Contains(note, `"active-activ" is not valid; allowed: "active-standby"`) {
		t.Errorf("the event says %q", note)
	}
	s.setReady("web-0", false)
	s.eventually("nobody is served", func() error { return s.endpoints("web") })
	if holder := *s.lease("web").Spec.HolderIdentity; holder != "web-0" {
		t.Errorf("the master moved to %s", holder)
	}
	s.annotate("web", api.AnnotationServiceMode, ptr.To(api.ModeActiveStandby))
	s.awaitMaster("web", "web-1", 2)

	s.annotate("web", api.AnnotationPrefer, ptr.To("disk in fast"))
	if note := s.awaitEvent("web", api.ReasonInvalidAnnotation); !strings.Contains(note, `annotation qoqo.dev/prefer: "disk in fast"`) {
		t.Errorf("the event says %q", note)
	}
	s.setReady("web-0", true)
	s.setReady("web-1", false)
	s.awaitMaster("web", "web-0", 3)
}

func TestUnsupportedServices(t *testing.T) {
	tests := map[string]struct {
		change func(*corev1.Service)
		reason string
	}{
		"ExternalName": {func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		}, api.ReasonUnsupportedService},
		"without a selector":     {func(s *corev1.Service) { s.Spec.Selector = nil }, api.ReasonUnsupportedService},
		"a selector of standbys": {func(s *corev1.Service) { s.Spec.Selector[api.LabelDesignation] = "standby" }, api.ReasonForeignSelectorKey},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			service := s.service("web", test.change)
			s.awaitEvent("web", test.reason)
			if now := s.getService("web"); now.ResourceVersion != service.ResourceVersion {
				t.Errorf("the Service was patched: %v", now)
			}
		})
	}
}
