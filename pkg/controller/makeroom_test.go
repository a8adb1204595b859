package controller

import (
	"errors"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestDemotedPodIsNotDeleted(t *testing.T) {
	unasked := fakeapi.WithoutAnnotation(api.AnnotationOnDemote)
	tests := map[string]func(*cluster){
		"a deletion that failed is not made up for by a later request": func(c *cluster) {
			c.failing("delete", "pods", errors.New("it is forbidden"))
			c.SwitchTo("web", "web-1")
			c.Settle()
			c.EditService("web", unasked)
			c.Settle()
			c.failingNoMore()
			c.EditService("web", fakeapi.WithAnnotation(api.AnnotationOnDemote, "delete"))
		},
		"the Lease has changed by the time of the deletion": func(c *cluster) {
			c.Server.OnRequest(func(action clienttesting.Action) error {
				if action.Matches("get", "leases") {
					c.Server.OnRequest(nil)
					c.EditService("web", unasked)
					c.EditLease("web", func(l *coordinationv1.Lease) { l.Labels["app"] = "web" })
				}
				return nil
			})
			c.EditPod("web-0", fakeapi.SetNotReady)
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				asked(c, api.AnnotationOnDemote, "delete")
				for _, pod := range []string{"web-0", "web-1"} {
					c.EditPod(pod, fakeapi.Graceful)
				}
				c.Settle()
				act(c)
				c.Settle()
				if state := strings.Join(c.State(), "\n"); !strings.Contains(state, "web-1 @2") || strings.Contains(state, "terminating") {
					t.Errorf("want a switch to web-1, and no pod terminating:\n%s", state)
				}
			})
		})
	}
}
