package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestOptOutOfRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := servingBySlices(c)
		traffic := c.Traffic()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: app=web", "EndpointSlice web by Kubernetes: web-0 web-1", "Pod web-0:", "Pod web-1:")
		c.expectEvents(s)
		// Somebody is served all the time.
		if got := traffic(); slices.Contains(got, "") {
			t.Errorf("traffic %q, want no gap", got)
		}
	})
}

// Nobody waits for Kubernetes to list pods that it will not: the label that the
// Service selects was the controller's.
func TestOptOutWithASelectorOfTheLabel(t *testing.T) {
	inCluster(t, func(c *cluster) {
		stop := c.RunKubernetes(0)
		c.Create(fakeapi.NewService("web", fakeapi.BySlice, fakeapi.WithSelector(api.LabelDesignation, api.DesignationActive)), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		stop()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: app=web,qoqo.dev/pod-designation=active", "Pod web-0:")
	})
}

func TestSelectorlessService(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.RunKubernetes(fakeapi.BuiltInDelay)
		c.Create(fakeapi.NewService("web", fakeapi.Selectorless), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: <none>",
			"EndpointSlice web-master-ipv4: web-0 @1, of web-0",
			"Pod web-0: active @1 spared",
			"Pod web-1: standby @1",
		)
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: <none>",
			"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
			"Pod web-0: standby @2",
			"Pod web-1: active @2 spared",
		)
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: <none>", "Pod web-0:", "Pod web-1:")
		if slices.ContainsFunc(s.writes(), func(w string) bool { return strings.HasSuffix(w, "services web") }) {
			t.Errorf("the Service was written to: %q", s.writes())
		}
	})
}

func TestErrorsOfAHandoverAreRetried(t *testing.T) {
	tests := map[string]struct{ verb, resource string }{
		"of listing EndpointSlices":          {"list", "endpointslices"},
		"of making its own":                  {"create", "endpointslices"},
		"of writing its own":                 {"update", "endpointslices"},
		"of writing the Service":             {"patch", "services"},
		"of listing the pods, when it looks": {"list", "pods"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.RunKubernetes(fakeapi.BuiltInDelay)
				c.Create(fakeapi.NewService("web", fakeapi.WithAddress), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				c.start()
				c.Settle()
				traffic := c.Traffic()
				failed := c.failing(test.verb, test.resource, apierrors.NewInternalError(errors.New("no quorum")))
				c.EditService("web", fakeapi.WithAnnotation(api.AnnotationRouting, "endpointslice"))
				c.Wait(time.Minute)
				if failed.Load() == 0 {
					t.Error("it was not tried, so that nothing is tested")
				}
				c.failingNoMore()
				c.Wait(retryMax + time.Second)
				if got := c.State(); !slices.Contains(got, "EndpointSlice web-master-ipv4: web-0 @1, of web-0") || !slices.Contains(got, "Service web: app=web detached @1") {
					t.Errorf("it did not go over: %q", got)
				}
				if diff := cmp.Diff([]string{"web-0"}, traffic()); diff != "" {
					t.Errorf("traffic (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestErrorsOfGivingSlicesBackAreRetried(t *testing.T) {
	for _, verb := range []string{"list", "delete"} {
		t.Run(verb, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				servingBySlices(c)
				failed := c.failing(verb, "endpointslices", apierrors.NewInternalError(errors.New("no quorum")))
				c.EditService("web", fakeapi.OptOut)
				c.Wait(time.Minute)
				if failed.Load() == 0 {
					t.Error("it was not tried, so that nothing is tested")
				}
				c.failingNoMore()
				c.Wait(retryMax + time.Second)
				c.Expect("Service web: app=web", "EndpointSlice web by Kubernetes: web-0 web-1", "Pod web-0:", "Pod web-1:")
			})
		})
	}
}
