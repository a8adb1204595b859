package controller

import (
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// foreignSlice is of the Service web, and managed by somebody else.
func foreignSlice(name string, labels map[string]string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: fakeapi.Namespace, Name: name, Labels: labels},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
}

func TestForeignSliceIsReportedOnce(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := servingBySlices(c)
		c.Create(foreignSlice("web-mesh", map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "mesh"}))
		c.Settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-mesh of this Service is managed by "mesh", not by the controller; what it lists gets traffic beside the master. Delete it if it should not`)
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s)
		c.DeleteSlice("web-mesh")
		c.Settle()
		c.Create(foreignSlice("web-mine", map[string]string{discoveryv1.LabelServiceName: "web"}))
		c.Settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-mine of this Service is managed by nobody that it names, not by the controller; what it lists gets traffic beside the master. Delete it if it should not`)
		c.DeleteSlice("web-mine")
		c.Settle()
		c.Expect(bySlices...)
	})
}

func TestForeignSliceWithTheNameThatIsNeeded(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(foreignSlice("web-master-ipv4", nil), fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Hour)
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web",
			"EndpointSlice web-master-ipv4: foreign",
			"Pod web-0:",
		)
		c.expectEvents(s,
			"Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1",
			"Warning ForeignEndpointSlice Check on web: the EndpointSlice web-master-ipv4 is managed by nobody that it names, but the controller needs this name to route to the master; delete it",
		)
		if got, want := len(s.writes()), int(time.Hour/retryMax); got > want*11/10 {
			t.Errorf("%d writes in an hour, want about %d", got, want)
		}
		c.DeleteSlice("web-master-ipv4")
		c.Settle()
		c.Expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web detached @1",
			"EndpointSlice web-master-ipv4: web-0 @1, of web-0",
			"Pod web-0: active @1 spared",
		)
	})
}

// When a selector is removed, what Kubernetes made of it stays for ever.
func TestSlicesThatKubernetesLeftAreReported(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.RunKubernetes(fakeapi.BuiltInDelay)
		c.Create(fakeapi.NewService("web", fakeapi.WithAddress), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		s.events.Take()
		c.EditService("web", fakeapi.Selectorless)
		c.Settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-k8s of this Service is managed by "endpointslice-controller.k8s.io", not by the controller; what it lists gets traffic beside the master. Delete it if it should not`)
		c.DeleteSlice("web-k8s")
		c.Wait(2 * refusedAgain)
		s.client.ClearActions()
		c.Wait(time.Hour)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests at rest: %q", requests)
		}
		c.SwitchTo("web", "web-1")
		c.Settle()
		if got := c.State(); !slices.Contains(got, "EndpointSlice web-master-ipv4: web-1 @2, of web-1") {
			t.Errorf("the new master is not listed: %q", got)
		}
	})
}

// What was left behind while no controller ran.
func TestLeftoverSlices(t *testing.T) {
	toSelector := fakeapi.WithoutAnnotation(api.AnnotationRouting)
	tests := map[string]struct {
		meanwhile func(*cluster)
		want      []string
	}{
		"of a Service that is gone, with its Lease": {
			meanwhile: func(c *cluster) { c.DeleteService("web"); c.DeleteLease("web") },
			want:      []string{"Pod web-0:", "Pod web-1:"},
		},
		"of a Service that is no longer annotated": {
			meanwhile: func(c *cluster) { c.EditService("web", fakeapi.OptOut) },
			want:      []string{"Service web: app=web", "EndpointSlice web by Kubernetes: web-0 web-1", "Pod web-0:", "Pod web-1:"},
		},
		"of a Service with another routing": {
			meanwhile: func(c *cluster) { c.EditService("web", toSelector) },
			want: []string{
				"Lease web: web-0 @1 FirstEligible, of web",
				"Service web: app=web -> web-0 @1",
				"EndpointSlice web by Kubernetes: web-0",
				"Pod web-0: identified active @1 spared",
				"Pod web-1: identified standby @1",
			},
		},
		"of a Service with another routing, whose master is gone": {
			meanwhile: func(c *cluster) { c.EditService("web", toSelector); c.DeletePod("web-0") },
			want: []string{
				"Lease web: web-1 @2 HolderGone, of web",
				"Service web: app=web -> web-1 @2",
				"EndpointSlice web by Kubernetes: web-1",
				"Pod web-1: identified active @2 spared",
			},
		},
		"of a Service that is still the same": {
			meanwhile: func(*cluster) {}, want: bySlices,
		},
		"that is of no Service at all": {
			meanwhile: func(c *cluster) {
				c.EditSlice("web-master-ipv4", func(s *discoveryv1.EndpointSlice) {
					s.Labels[discoveryv1.LabelServiceName] = "other"
				})
			},
			want: bySlices,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				servingBySlices(c).stop()
				test.meanwhile(c)
				s := c.start()
				c.Settle()
				c.Expect(test.want...)
				if slices.Equal(test.want, bySlices) && len(s.events.Take()) > 0 {
					t.Error("events")
				}
			})
		})
	}
}

func TestServiceWithSlicesIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		c.DeleteService("web")
		c.Settle()
		c.Expect("Pod web-0:", "Pod web-1:")
	})
}

// One replica has heard of the opt-out, the other has not and sees the slice go.
func TestReplicaThatIsBehindAnOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		late := c.prepare()
		late.behind["services"] = 3 * time.Second
		c.run(late)
		c.Wait(time.Minute)
		c.EditService("web", fakeapi.OptOut)
		c.Wait(time.Minute)
		c.Expect("Service web: app=web", "EndpointSlice web by Kubernetes: web-0 web-1", "Pod web-0:", "Pod web-1:")
	})
}
