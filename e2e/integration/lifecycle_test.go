//go:build integration

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

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
