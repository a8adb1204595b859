package controller

import (
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestUnknownModeLeavesAllAsItIs(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		s.client.ClearActions()
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, "active-standbye"))
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Hour)
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}
		c.expectEvents(s, `Warning UnknownServiceMode Check on web: annotation qoqo.dev/service-mode: "active-standbye" is not known, allowed is "active-standby"; the Service is left as it is`)

		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestProblemIsReportedWhenItAppears(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		const warning = `Warning InvalidAnnotation Check on web: annotation qoqo.dev/routing: "dns" is not known, allowed are "selector" and "endpointslice" (for routing by label, put qoqo.dev/pod-designation: active into the selector); "selector" is used`
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationRouting, "dns"))
		c.Settle()
		c.expectEvents(s, warning)
		// It is still there at the next look, but it is no news.
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s)
		c.EditService("web", fakeapi.WithoutAnnotation(api.AnnotationRouting))
		c.Settle()
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationRouting, "dns"))
		c.Settle()
		c.expectEvents(s, warning)
	})
}

func TestProblemIsReportedAgainAfterAnOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation("qoqo.dev/nonsense", "")), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Settle()
		if events := s.events.Take(); len(events) != 2 {
			t.Errorf("events %q, want a master and a warning", events)
		}
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.Settle()
		if events := s.events.Take(); len(events) != 2 {
			t.Errorf("events %q, want a master and a warning", events)
		}
		c.DeleteService("web")
		c.Settle()
		if n := len(s.warnings.problems); n > 0 {
			t.Errorf("the problems of %d Services that do not exist are remembered", n)
		}
	})
}
