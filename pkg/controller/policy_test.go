package controller

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// asked is serving, where the Service has these annotations, in pairs.
func asked(c *cluster, annotations ...string) *started {
	c.Helper()
	s := serving(c)
	c.EditService("web", func(service *corev1.Service) {
		for i := 0; i < len(annotations); i += 2 {
			service.Annotations[annotations[i]] = annotations[i+1]
		}
	})
	c.Settle()
	s.client.ClearActions()
	return s
}

func TestPaused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationPaused, "true")
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: the election is paused; remove the annotation qoqo.dev/paused first; web-0 stays master in epoch 1")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Warning ElectionPaused Check on web: web-0 is not Ready, but stays master, as the election is paused (qoqo.dev/paused)")
		c.DeletePod("web-0")
		c.Settle()
		c.Expect(
			"Lease web: web-0 with the UID of web-0 [gone] @1 FirstEligible, of web",
			"Service web: app=web -> web-0 [gone] @1",
			"Pod web-1: identified standby @1",
		)
		s.events.Take()
		c.EditService("web", func(service *corev1.Service) { delete(service.Annotations, api.AnnotationPaused) })
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderGone, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestFailback(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationPrefer, "tier=fast", api.AnnotationFailback, "5m")
		c.Create(fakeapi.NewPod("web-2", fakeapi.WithLabel("tier", "fast"), fakeapi.SetNotReady))
		c.Settle()
		c.EditPod("web-2", fakeapi.SetReady)
		c.Wait(5*time.Minute - 2*time.Second)
		c.expectEvents(s)
		c.Wait(3 * time.Second)
		c.expectEvents(s, "Normal PreferredEligible Switchover on web about web-2: master moved from web-0 to web-2 in epoch 2: a preferred pod has been eligible for as long as qoqo.dev/failback says")
		// A switchover by hand lasts as long.
		c.SwitchTo("web", "web-1")
		c.Wait(5*time.Minute - time.Second)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-2 to web-1 in epoch 3: the Lease's holder was edited")
		c.Wait(2 * time.Second)
		c.expectEvents(s, "Normal PreferredEligible Switchover on web about web-2: master moved from web-1 to web-2 in epoch 4: a preferred pod has been eligible for as long as qoqo.dev/failback says")
	})
}

func TestFailoverDelay(t *testing.T) {
	waited := "Warning AwaitingHolder Check on web: web-0 is not Ready, but is waited for (qoqo.dev/failover-delay)"
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationFailoverDelay, "30s")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(29 * time.Second)
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		c.expectEvents(s, waited)
		// The next time the whole delay counts again.
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(29 * time.Second)
		c.expectEvents(s, waited)
		c.Wait(2 * time.Second)
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		// Who goes for good is not waited for.
		c.EditPod("web-0", fakeapi.SetReady)
		c.EditPod("web-1", fakeapi.SetTerminating)
		c.Settle()
		c.expectEvents(s, "Normal HolderTerminating Failover on web about web-0: master moved from web-1 to web-0 in epoch 3: web-1 is terminating")
	})
}

func TestExcludedPod(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		exclude := func(value string) func(*corev1.Pod) {
			return func(p *corev1.Pod) { metav1.SetMetaDataAnnotation(&p.ObjectMeta, api.AnnotationCandidate, value) }
		}
		c.EditPod("web-0", exclude("no"))
		c.Settle()
		c.expectEvents(s, `Warning InvalidAnnotation Check on web: annotation qoqo.dev/candidate of the pod web-0: "no" is neither "true" nor "false"; "true" is used`)
		c.EditPod("web-0", exclude("false"))
		c.Settle()
		c.expectEvents(s, "Normal HolderExcluded Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is kept from being master by the annotation qoqo.dev/candidate")
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Settle()
		c.expectEvents(s, "Warning NobodyEligible Check on web: no pod is eligible, so web-1 stays master in epoch 2")
	})
}

func TestSharedLeaseWithDifferentSettings(t *testing.T) {
	inCluster(t, func(c *cluster) {
		sharing := fakeapi.WithAnnotation(api.AnnotationLeaseName, "web")
		c.Create(fakeapi.NewService("a-older", sharing, fakeapi.WithAnnotation(api.AnnotationFailoverDelay, "1h"), fakeapi.WithAnnotation(api.AnnotationOnDemote, "none")), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		c.Wait(2 * time.Second)
		c.Create(fakeapi.NewService("web"), fakeapi.NewService("web-paused", sharing, fakeapi.WithAnnotation(api.AnnotationPaused, "false")))
		s := c.start()
		c.Settle()
		c.expectEvents(s,
			"Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1",
			"Normal FirstEligible Elect on a-older about web-0: web-0 is the first master, in epoch 1",
			"Normal FirstEligible Elect on web-paused about web-0: web-0 is the first master, in epoch 1",
			"Warning DifferingSettings Check on a-older: the Lease web is shared with the Service web, whose settings count and differ in qoqo.dev/failover-delay; set them there",
		)
		c.EditService("web-paused", func(service *corev1.Service) { service.Annotations[api.AnnotationPaused] = "true" })
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		paused := ": web-0 is not Ready, but stays master, as the election is paused (qoqo.dev/paused)"
		c.expectEvents(s,
			"Warning ElectionPaused Check on a-older"+paused, "Warning ElectionPaused Check on web"+paused, "Warning ElectionPaused Check on web-paused"+paused)
		c.EditService("web-paused", func(service *corev1.Service) { delete(service.Annotations, api.AnnotationPaused) })
		c.Settle()
		c.Expect(
			"Lease web: web-1 @2 HolderNotReady, of web and a-older and web-paused",
			"Service a-older: app=web -> web-1 @2",
			"Service web: app=web -> web-1 @2",
			"Service web-paused: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		s.events.Take()
		c.EditService("web-paused", func(service *corev1.Service) { service.Spec.Selector["app"] = "other" })
		c.Settle()
		none := ": no pod is selected by all Services that share the Lease web, so none can become master"
		var got []string
		for _, event := range s.events.Take() {
			if strings.HasPrefix(event, "Warning NoCommonCandidate") {
				got = append(got, event)
			}
		}
		want := []string{
			"Warning NoCommonCandidate Check on a-older" + none, "Warning NoCommonCandidate Check on web" + none, "Warning NoCommonCandidate Check on web-paused" + none,
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
