package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// A Service migrates from one routing to another, with Kubernetes' controllers at any speed:
// no request is lost, and none goes to another pod than the master.
func TestMigrations(t *testing.T) {
	bySelector := []string{
		"Lease web: web-0 @1 FirstEligible, of web",
		"Service web: app=web -> web-0 @1",
		"EndpointSlice web by Kubernetes: web-0",
		"Pod web-0: identified active @1 spared",
		"Pod web-1: identified standby @1",
	}
	byLabel := []string{
		"Lease web: web-0 @1 FirstEligible, of web",
		"Service web: app=web,qoqo.dev/pod-designation=active",
		"EndpointSlice web by Kubernetes: web-0",
		"Pod web-0: active @1 spared",
		"Pod web-1: standby @1",
	}
	// The identity of pods stays: it does no harm.
	identified := func(lines []string) (all []string) {
		for _, line := range lines {
			line = strings.Replace(line, "-0: active", "-0: identified active", 1)
			all = append(all, strings.Replace(line, "-1: standby", "-1: identified standby", 1))
		}
		return all
	}
	toSlice := fakeapi.WithAnnotation(api.AnnotationRouting, "endpointslice")
	toSelector := func(s *corev1.Service) {
		delete(s.Annotations, api.AnnotationRouting)
		delete(s.Spec.Selector, api.LabelDesignation)
	}
	toLabel := func(s *corev1.Service) {
		delete(s.Annotations, api.AnnotationRouting)
		s.Spec.Selector[api.LabelDesignation] = api.DesignationActive
	}
	tests := map[string]struct {
		from   func(*corev1.Service)
		before []string
		to     []func(*corev1.Service)
		after  []string
	}{
		"from selector to endpointslice": {
			from: fakeapi.WithAddress, before: bySelector, to: []func(*corev1.Service){toSlice}, after: identified(bySlices),
		},
		"from label to endpointslice": {
			from:   func(s *corev1.Service) { fakeapi.WithAddress(s); toLabel(s) },
			before: byLabel, to: []func(*corev1.Service){toSlice},
			after: slices.Replace(slices.Clone(bySlices), 1, 2, "Service web: app=web,qoqo.dev/pod-designation=active detached @1"),
		},
		"from endpointslice to selector": {
			from: fakeapi.BySlice, before: bySlices, to: []func(*corev1.Service){toSelector}, after: bySelector,
		},
		"from endpointslice to label": {
			from: fakeapi.BySlice, before: bySlices, to: []func(*corev1.Service){toLabel}, after: identified(byLabel),
		},
		"from selector to endpointslice and back at once": {
			from: fakeapi.WithAddress, before: bySelector, to: []func(*corev1.Service){toSlice, toSelector}, after: bySelector,
		},
		"from endpointslice to selector and back at once": {
			from: fakeapi.BySlice, before: bySlices, to: []func(*corev1.Service){toSelector, toSlice}, after: identified(bySlices),
		},
	}
	for name, test := range tests {
		for _, delay := range []time.Duration{0, fakeapi.BuiltInDelay, 3 * time.Second} {
			for replicas := range 2 {
				t.Run(name+" with Kubernetes "+delay.String()+" behind and other replicas: "+string(rune('0'+replicas)), func(t *testing.T) {
					inCluster(t, func(c *cluster) {
						c.RunKubernetes(delay)
						c.Create(fakeapi.NewService("web", test.from), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
						s := c.start()
						for range replicas {
							c.start()
						}
						c.Wait(5 * time.Minute)
						c.Expect(test.before...)
						s.events.Take()
						traffic := c.Traffic()
						for _, to := range test.to {
							c.EditService("web", to)
							c.Wait(200 * time.Millisecond)
						}
						c.Wait(5 * time.Minute)
						c.Expect(test.after...)
						c.expectEvents(s)
						if diff := cmp.Diff([]string{"web-0"}, traffic()); diff != "" {
							t.Errorf("traffic (-want +got):\n%s", diff)
						}
						s.client.ClearActions()
						c.Wait(time.Hour)
						if requests := s.requests(); len(requests) > 0 {
							t.Errorf("requests at rest: %q", requests)
						}
					})
				})
			}
		}
	}
}

// While Kubernetes' controller does not follow at all, the controller asks ever more rarely.
func TestMigrationIsAwaitedPatiently(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.stopKubernetes()
		c.Create(fakeapi.NewService("web", fakeapi.WithAddress), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		s.client.ClearActions()
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationRouting, "endpointslice"))
		c.Wait(time.Hour)
		asked := len(slices.DeleteFunc(s.requests(), func(r string) bool { return !strings.HasPrefix(r, "list endpointslices") }))
		// Each look asks for its own and for Kubernetes'.
		if most := int(2*time.Hour/retryMax) + 40; asked == 0 || asked > most {
			t.Errorf("asked %d times in an hour, want at most %d", asked, most)
		}
		// The slice lists no pod yet, and the Service is labelled.
		if diff := cmp.Diff([]string{"create endpointslices web-master-ipv4", "patch services web"}, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

// A replica that has not heard of the migration does not delete the slices that the other
// replica makes.
func TestReplicaThatIsBehindAMigration(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.RunKubernetes(time.Second)
		c.Create(fakeapi.NewService("web", fakeapi.WithAddress), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.start()
		late := c.prepare()
		late.behind["services"] = 3 * time.Second
		c.run(late)
		c.Wait(time.Minute)
		late.client.ClearActions()
		traffic := c.Traffic()
		c.EditService("web", fakeapi.WithAnnotation(api.AnnotationRouting, "endpointslice"))
		c.Wait(time.Minute)
		if diff := cmp.Diff([]string{"web-0"}, traffic()); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
		if slices.Contains(late.writes(), "delete endpointslices web-master-ipv4") {
			t.Errorf("writes of the replica that is behind: %q", late.writes())
		}
	})
}

func TestSwitchDuringAMigration(t *testing.T) {
	tests := map[string]struct{ from, to func(*corev1.Service) }{
		"from selector": {fakeapi.WithAddress, fakeapi.WithAnnotation(api.AnnotationRouting, "endpointslice")},
		"to selector":   {fakeapi.BySlice, fakeapi.WithoutAnnotation(api.AnnotationRouting)},
	}
	for name, test := range tests {
		for _, after := range []time.Duration{0, 20 * time.Millisecond, 150 * time.Millisecond, time.Second} {
			t.Run(name+", switched after "+after.String(), func(t *testing.T) {
				inCluster(t, func(c *cluster) {
					c.RunKubernetes(500 * time.Millisecond)
					c.Create(fakeapi.NewService("web", test.from), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
					c.start()
					c.start()
					c.Wait(time.Minute)
					traffic := c.Traffic()
					c.EditService("web", test.to)
					time.Sleep(after)
					c.SwitchTo("web", "web-1")
					c.Wait(time.Minute)
					for _, served := range traffic() {
						if strings.Contains(served, "+") {
							t.Errorf("traffic went to %s", served)
						}
					}
					if got := c.State(); !slices.Contains(got, "EndpointSlice web by Kubernetes: web-1") && !slices.Contains(got, "EndpointSlice web-master-ipv4: web-1 @2, of web-1") {
						t.Errorf("the new master does not get traffic: %q", got)
					}
				})
			})
		}
	}
}

func TestErrorsOfAMigrationAreRetried(t *testing.T) {
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
				// A step that awaits Kubernetes comes before the last one.
				c.Wait(2*retryMax + time.Second)
				if got := c.State(); !slices.Contains(got, "EndpointSlice web-master-ipv4: web-0 @1, of web-0") || !slices.Contains(got, "Service web: app=web detached @1") {
					t.Errorf("it did not migrate: %q", got)
				}
				if diff := cmp.Diff([]string{"web-0"}, traffic()); diff != "" {
					t.Errorf("traffic (-want +got):\n%s", diff)
				}
			})
		})
	}
}
