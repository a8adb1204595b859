package controller

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// The Service's own slice lists the master before Kubernetes' one no longer lists any pod.
func TestOptInToRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.Settle()
		s := c.start()
		c.Settle()
		want := []string{
			"create leases web", "update leases web", "create endpointslices web-master-ipv4", "patch services web",
			"patch pods web-0", "patch pods web-1", "update endpointslices web-master-ipv4", "patch services web", "patch services/status web",
		}
		got := s.writes()
		slices.Sort(got[5:])
		slices.Sort(want[5:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestNothingIsAskedAtRestWithRoutingByEndpointSlice(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.rest(servingBySlices(c))
	})
}

// The Service's user has written that it selects the designation: the last master keeps it.
func TestOptOutWithASelectorOfTheLabel(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.RunKubernetes(fakeapi.BuiltInDelay)
		c.Create(fakeapi.NewService("web", fakeapi.BySlice, fakeapi.WithSelector(api.LabelDesignation, api.DesignationActive)), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		traffic := c.Traffic()
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.Expect("Service web: app=web,qoqo.dev/pod-designation=active", "EndpointSlice web by Kubernetes: web-0", "Pod web-0: active")
		if diff := cmp.Diff([]string{"web-0"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
	})
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

func TestSliceThatIsEditedIsPutRight(t *testing.T) {
	inCluster(t, func(c *cluster) {
		servingBySlices(c)
		c.EditSlice("web-master-ipv4", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].TargetRef.UID = "uid-0" })
		c.Settle()
		c.Expect(bySlices...)
	})
}

// The controller needs the name of a slice that is not its own.
func TestForeignSliceIsWaitedForPatiently(t *testing.T) {
	inCluster(t, func(c *cluster) {
		foreign := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: fakeapi.Namespace, Name: "web-master-ipv4"}, AddressType: discoveryv1.AddressTypeIPv4}
		c.Create(foreign, fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Hour)
		if events := s.events.Take(); len(events) != 2 {
			t.Errorf("events %q, want a master and a warning", events)
		}
		if got, most := len(s.writes()), int(time.Hour/refusedRetryMax)+20; got == 0 || got > most {
			t.Errorf("%d writes in an hour, want at most %d", got, most)
		}
	})
}
