package controller

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

const ready = "True MasterReady: the master that the Lease names is eligible, and alone gets the traffic"

// expectCondition compares the condition of the Service web; empty for none.
func (c *cluster) expectCondition(want string) {
	c.Helper()
	service, err := c.Users.CoreV1().Services(fakeapi.Namespace).Get(c.Context(), "web", metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	got := ""
	if have := observation.Condition(service); have != nil {
		got = fmt.Sprintf("%s %s: %s", have.Status, have.Reason, have.Message)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.Errorf("condition (-want +got):\n%s", diff)
	}
}

// conditionWrites are how often the controllers wrote a condition.
func conditionWrites(all ...*started) (n int) {
	for _, s := range all {
		for _, request := range s.writes() {
			if strings.HasPrefix(request, "patch services/status") {
				n++
			}
		}
	}
	return n
}

func TestCondition(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", func(s *corev1.Service) {
			s.Status.Conditions = []metav1.Condition{{Type: "example.com/Other", Status: metav1.ConditionTrue}}
		}), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		one, two := c.start(), c.start()
		c.Settle()
		c.Wait(5 * time.Minute)
		c.expectCondition(ready)
		if n := conditionWrites(one, two); n != 1 {
			t.Errorf("%d writes of the condition for two replicas, want 1", n)
		}

		// A failover is over before the condition would be wrong.
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(5 * time.Minute)
		c.expectCondition(ready)
		if n := conditionWrites(one, two); n != 1 {
			t.Errorf("a failover writes the condition")
		}

		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Wait(2 * time.Second)
		c.expectCondition(ready)
		c.Wait(time.Minute)
		c.expectCondition("False NobodyEligible: no pod is eligible, so web-1 stays master in epoch 2")
		c.EditPod("web-1", fakeapi.SetReady)
		c.Wait(2 * time.Second)
		c.expectCondition(ready)
		if n := conditionWrites(one, two); n != 3 {
			t.Errorf("%d writes of the condition, want 3", n)
		}

		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		c.expectCondition("")
		service, err := c.Users.CoreV1().Services(fakeapi.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil || len(service.Status.Conditions) != 1 {
			t.Errorf("conditions %v, error %v, want that of another writer alone", service.Status.Conditions, err)
		}
	})
}

// A replica that dies between a Service's opting out and the end of the clean-up leaves no condition.
func TestConditionOfAServiceThatOptedOutMeanwhile(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.OptOut, func(s *corev1.Service) {
			s.Status.Conditions = []metav1.Condition{{Type: api.ConditionMasterReady, Status: metav1.ConditionTrue, Reason: api.MasterReady}}
		}), fakeapi.NewPod("web-0"))
		c.start()
		c.Settle()
		c.expectCondition("")
	})
}

func TestConditionOfAServiceThatIsRefused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, "typo")), fakeapi.NewPod("web-0"))
		one, two := c.start(), c.start()
		c.Wait(time.Minute)
		c.expectCondition(`False UnknownServiceMode: annotation qoqo.dev/service-mode: "typo" is not valid; allowed: "active-standby" or "observe"; ` +
			"the Service is left as it is: all Ready pods that its selector matches get traffic")
		// The second one's may be a conflict.
		if n := conditionWrites(one, two); n > 2 {
			t.Errorf("%d writes of the condition for two replicas, want 1", n)
		}
	})
}

// Of a Service that observes the condition is unknown, and a failover does not write it.
func TestConditionOfAServiceThatObserves(t *testing.T) {
	inCluster(t, func(c *cluster) {
		const left = "; the Service and its pods are left as they are (qoqo.dev/service-mode: observe)"
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeObserve)), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		one, two := c.start(), c.start()
		c.Wait(time.Minute)
		c.expectCondition("Unknown Observed: the master that the Lease names is eligible, and alone would get the traffic" + left)
		writes := conditionWrites(one, two)
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(10 * time.Minute)
		if n := conditionWrites(one, two); n != writes {
			t.Errorf("%d writes of the condition in a failover, want none", n-writes)
		}
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Wait(10 * time.Minute)
		c.expectCondition("Unknown NobodyEligible: no pod is eligible, so web-1 stays master in epoch 2" + left)
	})
}

// The condition of a Service that observes is not true, also if the others of its election are refused.
func TestConditionOfAServiceThatObservesOneThatIsRefused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(
			fakeapi.NewService("web"), fakeapi.NewService("db", fakeapi.WithAnnotation(api.AnnotationLeaseName, "web"), fakeapi.WithAnnotation(api.AnnotationServiceMode, "typo")),
			fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		c.Wait(time.Minute)
		c.expectCondition("True MasterReady: the master that the Lease names is eligible, and alone gets the traffic")
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeObserve))
		c.Wait(10 * time.Minute)
		c.expectCondition("Unknown UnknownServiceMode: the Service db, whose election it is, is not served")
	})
}

// Traffic that others lead beside the master makes the condition false, though the controller has
// done its part.
func TestConditionBesideForeignEndpoints(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.BySlice), fakeapi.NewPod("web-0"), &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: fakeapi.Namespace, Name: "web-others", Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "example.com"}},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.9.9.9"}}},
		})
		c.start()
		c.Wait(time.Minute)
		c.expectCondition("False ForeignEndpointSlice: the EndpointSlice web-others of this Service is not the controller's (managed by \"example.com\"); " +
			"the endpoints that it lists get traffic beside the master. Delete it if they should not")
	})
}

// Another replica writes the condition if the one that wrote the Lease is gone.
func TestConditionIsTakenOver(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		one, two := c.start(), c.start()
		c.Settle()
		if slices.Contains(one.writes(), "update leases web") {
			one.stop()
		} else {
			two.stop()
		}
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(30 * time.Second)
		c.expectCondition(ready)
		c.Wait(2 * time.Minute)
		c.expectCondition("False NobodyEligible: no pod is eligible, so web-0 stays master in epoch 1")
	})
}

// Without the right to write conditions everything else works, and the API server is asked rarely.
func TestConditionWithoutTheRight(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.prepare()
		s.client.PrependReactor("patch", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if action.GetSubresource() != "status" {
				return false, nil, nil
			}
			return true, nil, apierrors.NewForbidden(corev1.Resource("services/status"), "web", nil)
		})
		c.run(s)
		c.Wait(time.Hour)
		c.expectCondition("")
		c.expectEvents(s, "Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1")
		if most := int(time.Hour/conditionRetry) + 1; conditionWrites(s) < 2 || conditionWrites(s) > most {
			t.Errorf("%d tries within an hour, want %d at most", conditionWrites(s), most)
		}
	})
}

// An API server that is busy once does not leave an old condition for long.
func TestConditionAfterATimeout(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.prepare()
		var tries atomic.Int32
		s.client.PrependReactor("patch", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
			busy := action.GetSubresource() == "status" && tries.Add(1) == 1
			return busy, nil, apierrors.NewTimeoutError("busy", 0)
		})
		c.run(s)
		c.Wait(2 * time.Second)
		c.expectCondition("")
		c.Wait(conditionAgain)
		c.expectCondition(ready)
	})
}
