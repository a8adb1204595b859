package controller

import (
	"slices"
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What a policy refuses leaves no Service open, and holds up only what depends on it.

func TestPodsThatCannotBeLabelled(t *testing.T) {
	tests := map[string]struct {
		denied []string
		want   []string
	}{
		"another pod is taken": {[]string{"web-0"}, []string{
			"Lease web: web-1 @2 HolderRefused, of web", "Service web: app=web -> web-1 @2",
			"Pod web-0:", "Pod web-1: identified active @2 spared",
		}},
		"the Service is closed if there is no other": {[]string{"web-0", "web-1"}, []string{
			"Lease web: web-0 @1 FirstEligible, of web", "Service web: app=web -> web-0 @1", "Pod web-0:", "Pod web-1:",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.denying("pods", test.denied...)
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				c.start()
				c.Wait(time.Minute)
				c.Expect(test.want...)
				c.failingNoMore()
				c.Wait(retryMax + time.Second)
				if got := c.State(); slices.Contains(got, "Pod web-0:") || slices.Contains(got, "Pod web-1:") {
					t.Errorf("a pod is not labelled once that is allowed: %q", got)
				}
			})
		})
	}
}

// A master that hangs must make room, though a standby cannot be labelled.
func TestStandbyThatCannotBeLabelledHoldsNothingUp(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.denying("pods", "web-9")
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationHandover, api.HandoverAfterTermination), fakeapi.WithAnnotation(api.AnnotationOnDemote, api.OnDemoteDelete)),
			fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"), fakeapi.NewPod("web-9"))
		c.start()
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Minute)
		if got := c.State(); !slices.Contains(got, "Lease web: web-1 @2 HolderGone, of web") {
			t.Errorf("no other pod has followed the master: %q", got)
		}
	})
}
