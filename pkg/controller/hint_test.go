package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// A Service whose opt-in is misspelt has no election that could report it.
func TestMisspeltOptIn(t *testing.T) {
	want := func(key string) string {
		return "Warning UnknownAnnotation Check on web: annotation " + key + " is not known; did you mean qoqo.dev/service-mode? The Service is left as it is"
	}
	set := func(key string) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Annotations = map[string]string{key: api.ModeActiveStandby} }
	}
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", set("qoqo.dev/servicemode")), fakeapi.NewService("other", set("example.com/service-mode")))
		s := c.start()
		c.Settle()
		c.expectEvents(s, want("qoqo.dev/servicemode"))
		c.EditService("web", func(s *corev1.Service) { s.Labels = map[string]string{"any": "change"} })
		c.Settle()
		c.expectEvents(s)
		c.EditService("web", set("qoqo.dev/service_mode"))
		c.Settle()
		c.expectEvents(s, want("qoqo.dev/service_mode"))
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes %q", writes)
		}
		c.EditService("web", set(api.AnnotationRouting))
		c.Settle()
		c.expectEvents(s)
		if problems := s.warnings.count()[api.ReasonUnknownAnnotation]; problems != 0 {
			t.Errorf("%d Services still have the problem", problems)
		}
	})
}

// A Service that is deleted and made anew while the watch is interrupted is an update.
func TestMisspeltOptInOfAServiceThatIsReplaced(t *testing.T) {
	inCluster(t, func(c *cluster) {
		misspelt := func(uid types.UID) *corev1.Service {
			return fakeapi.NewService("web", func(s *corev1.Service) {
				s.UID, s.Annotations = uid, map[string]string{"qoqo.dev/servicemode": api.ModeActiveStandby}
			})
		}
		s := c.start()
		handler := s.serviceHandler()
		handler.OnAdd(misspelt("first"), true)
		handler.OnUpdate(misspelt("first"), misspelt("second"))
		if problems := s.warnings.count()[api.ReasonUnknownAnnotation]; problems != 1 {
			t.Errorf("%d Services have the problem, want 1", problems)
		}
	})
}
