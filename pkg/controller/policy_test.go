package controller

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// asked is serving, where the Service has these annotations, in pairs.
func asked(c *cluster, annotations ...string) *started {
	c.Helper()
	s := serving(c)
	c.editService("web", func(service *corev1.Service) {
		for i := 0; i < len(annotations); i += 2 {
			service.Annotations[annotations[i]] = annotations[i+1]
		}
	})
	c.settle()
	s.client.ClearActions()
	return s
}

func TestPaused(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationPaused, "true")
		c.switchTo("web", "web-1")
		c.settle()
		c.expectEvents(s, "Warning EditRefused Switchover on web about web-1: web-1 cannot become master: the election is paused; remove the annotation qoqo.dev/paused first; web-0 stays master in epoch 1")
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expectEvents(s, "Warning ElectionPaused Check on web: web-0 is not Ready, but stays master, as the election is paused (qoqo.dev/paused)")
		c.deletePod("web-0")
		c.settle()
		c.expect(
			"Lease web: web-0 with the UID of web-0 [gone] @1 FirstEligible, of web",
			"Service web: app=web -> web-0 [gone] @1",
			"Pod web-1: identified standby @1",
		)
		s.events.take()
		c.editService("web", func(service *corev1.Service) { delete(service.Annotations, api.AnnotationPaused) })
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderGone, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestFailback(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationPrefer, "tier=fast", api.AnnotationFailback, "5m")
		c.create(newPod("web-2", withLabel("tier", "fast"), setNotReady))
		c.settle()
		c.editPod("web-2", setReady)
		c.wait(5*time.Minute - 2*time.Second)
		c.expectEvents(s)
		c.wait(3 * time.Second)
		c.expectEvents(s, "Normal PreferredEligible Switchover on web about web-2: master moved from web-0 to web-2 in epoch 2: a preferred pod has been eligible for as long as qoqo.dev/failback says")
		// A switchover by hand lasts as long.
		c.switchTo("web", "web-1")
		c.wait(5*time.Minute - time.Second)
		c.expectEvents(s, "Normal HolderEdited Switchover on web about web-1: master moved from web-2 to web-1 in epoch 3: the Lease's holder was edited")
		c.wait(2 * time.Second)
		c.expectEvents(s, "Normal PreferredEligible Switchover on web about web-2: master moved from web-1 to web-2 in epoch 4: a preferred pod has been eligible for as long as qoqo.dev/failback says")
	})
}

func TestFailoverDelay(t *testing.T) {
	waited := "Warning AwaitingHolder Check on web: web-0 is not Ready, but is waited for (qoqo.dev/failover-delay)"
	inCluster(t, func(c *cluster) {
		s := asked(c, api.AnnotationFailoverDelay, "30s")
		c.editPod("web-0", setNotReady)
		c.wait(29 * time.Second)
		c.editPod("web-0", setReady)
		c.settle()
		c.expectEvents(s, waited)
		// The next time the whole delay counts again.
		c.editPod("web-0", setNotReady)
		c.wait(29 * time.Second)
		c.expectEvents(s, waited)
		c.wait(2 * time.Second)
		c.expectEvents(s, "Normal HolderNotReady Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is not Ready")
		// Who goes for good is not waited for.
		c.editPod("web-0", setReady)
		c.editPod("web-1", setTerminating)
		c.settle()
		c.expectEvents(s, "Normal HolderTerminating Failover on web about web-0: master moved from web-1 to web-0 in epoch 3: web-1 is terminating")
	})
}

func TestExcludedPod(t *testing.T) {
	inCluster(t, func(c *cluster) {
		s := serving(c)
		exclude := func(value string) func(*corev1.Pod) {
			return func(p *corev1.Pod) { metav1.SetMetaDataAnnotation(&p.ObjectMeta, api.AnnotationCandidate, value) }
		}
		c.editPod("web-0", exclude("no"))
		c.settle()
		c.expectEvents(s, `Warning InvalidAnnotation Check on web: annotation qoqo.dev/candidate of the pod web-0: "no" is not valid; allowed: "true" or "false"; "true" is used`)
		c.editPod("web-0", exclude("false"))
		c.settle()
		c.expectEvents(s, "Normal HolderExcluded Failover on web about web-1: master moved from web-0 to web-1 in epoch 2: web-0 is kept from being master by the annotation qoqo.dev/candidate")
		c.editPod("web-1", setNotReady)
		c.settle()
		c.expectEvents(s, "Warning NobodyEligible Check on web: no pod is eligible, so web-1 stays master in epoch 2")
	})
}

func TestSharedLeaseWithDifferentSettings(t *testing.T) {
	inCluster(t, func(c *cluster) {
		sharing := withAnnotation(api.AnnotationLeaseName, "web")
		c.create(newService("a-older", sharing, withAnnotation(api.AnnotationFailoverDelay, "1h"), withAnnotation(api.AnnotationOnDemote, "none")), newPod("web-0"), newPod("web-1"))
		c.wait(2 * time.Second)
		c.create(newService("web"), newService("web-paused", sharing, withAnnotation(api.AnnotationPaused, "false")))
		s := c.start()
		c.settle()
		c.expectEvents(s,
			"Normal FirstEligible Elect on web about web-0: web-0 is the first master, in epoch 1",
			"Normal FirstEligible Elect on a-older about web-0: web-0 is the first master, in epoch 1",
			"Normal FirstEligible Elect on web-paused about web-0: web-0 is the first master, in epoch 1",
			"Warning DifferingSettings Check on a-older: the Lease web is shared with the Service web, whose settings count and differ in qoqo.dev/failover-delay; set them there",
		)
		c.editService("web-paused", func(service *corev1.Service) { service.Annotations[api.AnnotationPaused] = "true" })
		c.settle()
		c.editPod("web-0", setNotReady)
		c.settle()
		paused := ": web-0 is not Ready, but stays master, as the election is paused (qoqo.dev/paused)"
		c.expectEvents(s,
			"Warning ElectionPaused Check on a-older"+paused, "Warning ElectionPaused Check on web"+paused, "Warning ElectionPaused Check on web-paused"+paused)
		c.editService("web-paused", func(service *corev1.Service) { delete(service.Annotations, api.AnnotationPaused) })
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderNotReady, of web and a-older and web-paused",
			"Service a-older: app=web -> web-1 @2",
			"Service web: app=web -> web-1 @2",
			"Service web-paused: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		s.events.take()
		c.editService("web-paused", func(service *corev1.Service) { service.Spec.Selector["app"] = "other" })
		c.settle()
		none := ": no pod is selected by all Services that share the Lease web, so none can become master"
		var got []string
		for _, event := range s.events.take() {
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
