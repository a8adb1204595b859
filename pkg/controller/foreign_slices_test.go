package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// foreignSlice is of the Service web, and managed by somebody else.
func foreignSlice(name string, labels map[string]string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: testNamespace, Name: name, Labels: labels},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
}

func TestForeignSliceIsReportedOnce(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := servingBySlices(c)
		c.create(foreignSlice("web-mesh", map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "mesh"}))
		c.settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-mesh of this Service is not the controller's (managed by "mesh"); the endpoints that it lists get traffic beside the master. Delete it if they should not`)
		c.editPod("web-1", setNotReady)
		c.settle()
		c.expectEvents(s)
		c.deleteSlice("web-mesh")
		c.settle()
		c.create(foreignSlice("web-mine", map[string]string{discoveryv1.LabelServiceName: "web"}))
		c.settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-mine of this Service is not the controller's (it names no manager); the endpoints that it lists get traffic beside the master. Delete it if they should not`)
		c.deleteSlice("web-mine")
		c.settle()
		c.expect(bySlices...)
	})
}

func TestForeignSliceWithTheNameThatIsNeeded(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(foreignSlice("web-master-ipv4", nil), newService("web", bySlice), newPod("web-0"))
		s := c.start()
		c.wait(time.Hour)
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web",
			"EndpointSlice web-master-ipv4:",
			"Pod web-0:",
		)
		c.expectEvents(s,
			"Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1",
			"Warning ForeignEndpointSlice Check on web: the EndpointSlice web-master-ipv4 is not the controller's (it names no manager), and has a name that the controller needs to route to the master; delete it",
		)
		if got, want := len(s.writes()), int(time.Hour/retryMax); got > want*11/10 {
			t.Errorf("%d writes in an hour, want about %d", got, want)
		}
		c.deleteSlice("web-master-ipv4")
		c.settle()
		c.expect(
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
		c.runKubernetes(builtInDelay)
		c.create(newService("web", withAddress), newPod("web-0"), newPod("web-1"))
		s := c.start()
		c.settle()
		s.events.take()
		c.editService("web", selectorless)
		c.settle()
		c.expectEvents(s, `Warning ForeignEndpointSlice Check on web: the EndpointSlice web-k8s of this Service is not the controller's (managed by "endpointslice-controller.k8s.io"); the endpoints that it lists get traffic beside the master. Delete it if they should not`)
		c.deleteSlice("web-k8s")
		c.wait(2 * refusedAgain)
		s.client.ClearActions()
		c.wait(time.Hour)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests at rest: %q", requests)
		}
		c.switchTo("web", "web-1")
		c.settle()
		if diff := cmp.Diff("web-1 @2, of web-1", c.sliceLine(c.slice("web-master-ipv4"))[len("web-master-ipv4: "):]); diff != "" {
			t.Errorf("slice (-want +got):\n%s", diff)
		}
	})
}

// What was left behind while no controller ran.
func TestLeftoverSlices(t *testing.T) {
	toSelector := withoutAnnotation(api.AnnotationRouting)
	tests := map[string]struct {
		meanwhile func(*cluster)
		want      []string
	}{
		"of a Service that is gone, with its Lease": {
			meanwhile: func(c *cluster) { c.deleteService("web"); c.deleteLease("web") },
			want:      []string{"Pod web-0:", "Pod web-1:"},
		},
		"of a Service that is no longer annotated": {
			meanwhile: func(c *cluster) { c.editService("web", optOut) },
			want:      []string{"Service web: app=web", "EndpointSlice web-k8s: web-0 web-1", "Pod web-0:", "Pod web-1:"},
		},
		"of a Service with another routing": {
			meanwhile: func(c *cluster) { c.editService("web", toSelector) },
			want: []string{
				"Lease web: web-0 @1 FirstEligible, of web",
				"Service web: app=web -> web-0 @1",
				"EndpointSlice web-k8s: web-0",
				"Pod web-0: identified active @1 spared",
				"Pod web-1: identified standby @1",
			},
		},
		"of a Service with another routing, whose master is gone": {
			meanwhile: func(c *cluster) { c.editService("web", toSelector); c.deletePod("web-0") },
			want: []string{
				"Lease web: web-1 @2 HolderGone, of web",
				"Service web: app=web -> web-1 @2",
				"EndpointSlice web-k8s: web-1",
				"Pod web-1: identified active @2 spared",
			},
		},
		"of a Service that is still the same": {
			meanwhile: func(*cluster) {}, want: bySlices,
		},
		"that is of no Service at all": {
			meanwhile: func(c *cluster) {
				c.editSlice("web-master-ipv4", func(s *discoveryv1.EndpointSlice) {
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
				c.settle()
				c.expect(test.want...)
				if slices.Equal(test.want, bySlices) && len(s.events.take()) > 0 {
					t.Error("events")
				}
			})
		})
	}
}

func TestServiceWithSlicesIsDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		c.deleteService("web")
		c.settle()
		c.expect("Pod web-0:", "Pod web-1:")
	})
}

// One replica has heard of the opt-out, the other has not and sees the slice go.
func TestReplicaThatIsBehindAnOptOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		late := c.prepare()
		late.behind["services"] = 3 * time.Second
		c.run(late)
		c.wait(time.Minute)
		c.editService("web", optOut)
		c.wait(time.Minute)
		c.expect("Service web: app=web", "EndpointSlice web-k8s: web-0 web-1", "Pod web-0:", "Pod web-1:")
	})
}
