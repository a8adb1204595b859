//go:build integration

package integration

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A Service says in a condition whether it has a master, and kubectl waits for that. Conditions of
// others stay.
func TestCondition(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0")
	s.apply("web", 80)
	wait := func(status string) {
		s.Helper()
		assert.Must(installation.Kubectl(t.Context(), "-n", s.namespace, "wait", "--timeout=60s", "--for=condition="+api.ConditionMasterReady+"="+status, "service/web"))(s)
	}
	wait("True")
	services := client.CoreV1().Services(s.namespace)
	other := patchStatus(s, client, "web", `{"status":{"conditions":[{"type":"example.com/Other","status":"True","reason":"Example","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
	if other != nil {
		t.Fatal(other)
	}
	s.setReady("web-0", false)
	wait("False")
	if c := observation.Condition(assert.Must(services.Get(t.Context(), "web", metav1.GetOptions{}))(s)); c.Reason != "NobodyEligible" {
		t.Errorf("the condition is %+v, want NobodyEligible", c)
	}
	s.setReady("web-0", true)
	wait("True")
	s.guard.MayGo("web")
	patch := `{"metadata":{"annotations":{"qoqo.dev/service-mode":null}}}`
	assert.Must(installation.Kubectl(t.Context(), "-n", s.namespace, "patch", "service", "web", "--type=merge", "-p", patch))(s)
	s.eventually("the condition is gone, and that of another stays", func() error {
		service, err := services.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if all := service.Status.Conditions; len(all) != 1 || all[0].Type != "example.com/Other" {
			return fmt.Errorf("the conditions are %v", all)
		}
		return nil
	})
}
