package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
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
				c.Wait(refusedRetryMax + time.Second)
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

// What the API server refuses for good is tried ever more rarely, and at once when something changes.
func TestRefusalsAreRetriedRarely(t *testing.T) {
	tests := map[string]struct {
		verb, resource string
		err            error
		bySlice        bool
	}{
		"a Lease":                            {"update", "leases", apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "web", errors.New("no RBAC")), false},
		"a Service":                          {"patch", "services", apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "web", errors.New("denied by a policy")), false},
		"pods":                               {"patch", "pods", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web-1", errors.New("exceeded quota")), false},
		"an EndpointSlice that is not valid": {"update", "endpointslices", apierrors.NewInvalid(schema.GroupKind{Kind: "EndpointSlice"}, "web", nil), true},
		"an EndpointSlice of another's name": {"update", "endpointslices", apierrors.NewAlreadyExists(schema.GroupResource{Resource: "endpointslices"}, "web"), true},
	}
	for name, test := range tests {
		// A replica that has not written the Lease leaves others their turn before each try.
		for _, anew := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", of a replica that was started anew: ", anew), func(t *testing.T) {
				inCluster(t, func(c *cluster) {
					var change []func(*corev1.Service)
					if test.bySlice {
						change = append(change, fakeapi.BySlice)
					}
					c.Create(fakeapi.NewService("web", change...), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"), fakeapi.NewPod("web-2"))
					s := c.start()
					c.Settle()
					if anew {
						s.stop()
						s = c.start()
						c.Settle()
					}
					failed := c.failing(test.verb, test.resource, test.err)
					c.EditPod("web-0", fakeapi.SetNotReady)
					c.Wait(time.Minute)
					s.client.ClearActions()
					c.Wait(time.Hour)
					// Each try may write to several pods, and look closer before.
					if got, most := len(s.requests()), 7*int(time.Hour/refusedRetryMax); failed.Load() == 0 || got > most {
						t.Errorf("%d requests in an hour, want at most %d", got, most)
					}
					before := failed.Load()
					c.EditPod("web-2", fakeapi.SetNotReady)
					c.Wait(time.Second)
					if failed.Load() == before {
						t.Error("a change does not end the pause")
					}
					c.failingNoMore()
					c.EditPod("web-2", fakeapi.SetReady)
					c.Settle()
					if got := c.State(); !slices.ContainsFunc(got, func(line string) bool {
						return strings.HasPrefix(line, "Pod web-1: ") && strings.Contains(line, "active @")
					}) {
						t.Errorf("no other pod has followed the master: %q", got)
					}
				})
			})
		}
	}
}

// An epoch that could not be recorded ahead of the Lease is not spent, and holds up no later try.
func TestEpochThatIsNotRecordedIsNotSpent(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		refused := c.failing("patch", "pods", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web-0", errors.New("denied by a policy")))
		c.DeleteLease("web")
		c.Wait(time.Second)
		if refused.Load() == 0 {
			t.Error("nothing was refused")
		}
		c.failingNoMore()
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Wait(time.Second)
		if got := c.State(); !slices.Contains(got, "Lease web: web-0 @3 LeaseLost, of web") {
			t.Errorf("the Lease is not restored: %q", got)
		}
	})
}

func TestForeignLeaseIsLookedAtRarely(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.ForeignLease("web", "somebody"), fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(time.Minute)
		s.client.ClearActions()
		c.Wait(time.Hour)
		if got, most := len(s.requests()), 5*int(time.Hour/refusedRetryMax); got == 0 || got > most {
			t.Errorf("%d requests in an hour, want at most %d", got, most)
		}
	})
}

// The API server tells of a Lease that is not watched, and that the Services are refused, at once.
func TestOwnersOfAForeignLeaseStay(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := c.start()
		c.Settle()
		refused := fakeapi.NewService("web", func(s *corev1.Service) { s.Annotations[api.AnnotationServiceMode] = "on" })
		l := fakeapi.ForeignLease("web", "somebody")
		l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: "gone", UID: "gone"}}
		c.Create(refused, l)
		o := observation.Look(observation.Inputs{Key: observation.LeaseKey(refused), Services: []*corev1.Service{refused}, Lease: l, Now: time.Now()})
		for again := time.Second; again > 0 && again < letGoRetry; {
			again = road{s, s, s, s}.letGo(t.Context(), o, l)
			c.Wait(again)
		}
		if writes := s.writes(); strings.Contains(strings.Join(writes, "\n"), "leases") {
			t.Errorf("writes %q", writes)
		}
	})
}

func TestOnlyRefused(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "web", errors.New("denied"))
	terminating := apierrors.NewForbidden(schema.GroupResource{}, "web", errors.New("terminating"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	slow := apierrors.NewInternalError(errors.New("slow"))
	tests := map[string]struct {
		err  error
		want bool
	}{
		"a refusal":                                   {fmt.Errorf("writing: %w", forbidden), true},
		"several refusals":                            {errors.Join(forbidden, fmt.Errorf("writing: %w", errors.Join(forbidden, forbidden))), true},
		"a refusal beside another error":              {errors.Join(forbidden, slow), false},
		"a refusal beside another error, wrapped":     {fmt.Errorf("writing: %w", errors.Join(forbidden, slow)), false},
		"an object of that name":                      {apierrors.NewAlreadyExists(schema.GroupResource{}, "web"), true},
		"a conflict":                                  {apierrors.NewConflict(schema.GroupResource{}, "web", errors.New("changed")), false},
		"an API server that is busy":                  {apierrors.NewTooManyRequests("later", 1), false},
		"an API server that does not know the client": {apierrors.NewUnauthorized("expired"), false},
		"an API server that is late":                  {context.DeadlineExceeded, false},
		"a namespace that goes":                       {terminating, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := onlyRefused(test.err); got != test.want {
				t.Errorf("counts as refused: %v, want %v", got, test.want)
			}
		})
	}
}
