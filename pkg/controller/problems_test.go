package controller

import (
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestUnknownModeLeavesAllAsItIs(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		s.client.ClearActions()
		c.editService("web", withAnnotation(api.AnnotationServiceMode, "active-standbye"))
		c.settle()
		c.editPod("web-0", setNotReady)
		c.wait(time.Hour)
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("writes: %q", writes)
		}
		c.expectEvents(s, `Warning UnknownServiceMode Check on web: annotation qoqo.dev/service-mode: "active-standbye" is not valid; allowed: "active-standby"; the Service is left as it is`)

		c.editService("web", withAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.settle()
		c.expect(
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
		const warning = `Warning InvalidAnnotation Check on web: annotation qoqo.dev/routing: "dns" is not valid; allowed: "selector" or "endpointslice" (for routing by label, put qoqo.dev/pod-designation: active into the selector); "selector" is used`
		c.editService("web", withAnnotation(api.AnnotationRouting, "dns"))
		c.settle()
		c.expectEvents(s, warning)
		// It is still there at the next look, but it is no news.
		c.editPod("web-1", setNotReady)
		c.settle()
		c.expectEvents(s)
		c.editService("web", withoutAnnotation(api.AnnotationRouting))
		c.settle()
		c.editService("web", withAnnotation(api.AnnotationRouting, "dns"))
		c.settle()
		c.expectEvents(s, warning)
	})
}

func TestProblemIsReportedAgainAfterAnOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web", withAnnotation("qoqo.dev/nonsense", "")), newPod("web-0"))
		s := c.start()
		c.settle()
		if events := s.events.take(); len(events) != 2 {
			t.Errorf("events %q, want a master and a warning", events)
		}
		c.editService("web", optOut)
		c.settle()
		c.editService("web", withAnnotation(api.AnnotationServiceMode, api.ModeActiveStandby))
		c.settle()
		if events := s.events.take(); len(events) != 2 {
			t.Errorf("events %q, want a master and a warning", events)
		}
		c.deleteService("web")
		c.settle()
		if n := len(s.warnings.problems); n > 0 {
			t.Errorf("the problems of %d Services that do not exist are remembered", n)
		}
	})
}
