package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestRoutingByLabel(t *testing.T) {
	inCluster(t, func(c *cluster) {
		byLabel := newService("web", withSelector(api.LabelDesignation, api.DesignationActive))
		c.create(byLabel, newPod("web-0"), newPod("web-1"))
		s := c.start()
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web,qoqo.dev/pod-designation=active",
			"Pod web-0: active @1 spared",
			"Pod web-1: standby @1",
		)
		c.editPod("web-0", setNotReady)
		c.settle()
		c.expect(
			"Lease web: web-1 @2 HolderNotReady, of web",
			"Service web: app=web,qoqo.dev/pod-designation=active",
			"Pod web-0: standby @2",
			"Pod web-1: active @2 spared",
		)
		if slices.ContainsFunc(s.writes(), func(w string) bool { return strings.Contains(w, "services") }) {
			t.Errorf("the Service was written to: %q", s.writes())
		}
	})
}

// The predecessor left a label, and no Lease.
func TestPredecessorsMasterIsAdopted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("web", withSelector(api.LabelDesignation, api.DesignationActive)),
			newPod("web-0"), newPod("web-1", withLabel(api.LabelDesignation, api.DesignationActive)))
		s := c.start()
		c.settle()
		c.expect(
			"Lease web: web-1 @1 AlreadyDesignated, of web",
			"Service web: app=web,qoqo.dev/pod-designation=active",
			"Pod web-0: standby @1",
			"Pod web-1: active @1 spared",
		)
		c.expectEvents(s, "Normal AlreadyDesignated Adopt on web about web-1: web-1 stays master, now in epoch 1: it was already labelled active")
	})
}

func TestFromSelectorToLabelAndBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.editService("web", withSelector(api.LabelDesignation, api.DesignationActive))
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web,qoqo.dev/pod-designation=active",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
		c.editService("web", func(s *corev1.Service) { delete(s.Spec.Selector, api.LabelDesignation) })
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
	})
}

func TestServicesThatShareALease(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("db"), newService("db-nodes", withAnnotation(api.AnnotationLeaseName, "db")), newPod("web-0"), newPod("web-1"))
		s := c.start()
		c.settle()
		c.expectEvents(s,
			"Normal FirstEligible Elect on db about web-0: web-0 is the first master, in epoch 1",
			"Normal FirstEligible Elect on db-nodes about web-0: web-0 is the first master, in epoch 1",
		)
		c.switchTo("db", "web-1")
		c.settle()
		c.expect(
			"Lease db: web-1 @2 HolderEdited, of db and db-nodes",
			"Service db: app=web -> web-1 @2",
			"Service db-nodes: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)

		// One of them leaves, and the other keeps the election.
		c.editService("db-nodes", optOut)
		c.settle()
		c.expect(
			"Lease db: web-1 @2 HolderEdited, of db",
			"Service db: app=web -> web-1 @2",
			"Service db-nodes: app=web",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

// Also the one whose name the Lease has leaves the others alone.
func TestServiceThatNamesASharedLeaseOptsOut(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("db"), newService("db-nodes", withAnnotation(api.AnnotationLeaseName, "db")), newPod("web-0"), newPod("web-1"))
		c.start()
		c.settle()
		c.editService("db", optOut)
		c.settle()
		c.expect(
			"Lease db: web-0 @1 FirstEligible, of db-nodes",
			"Service db: app=web",
			"Service db-nodes: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
	})
}

func TestServiceOfASharedLeaseDeleted(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("db"), newService("db-nodes", withAnnotation(api.AnnotationLeaseName, "db")), newPod("web-0"))
		c.start()
		c.settle()
		c.deleteService("db")
		c.settle()
		c.expect(
			"Lease db: web-0 @1 FirstEligible, of db-nodes",
			"Service db-nodes: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
		)
	})
}

func TestServiceThatSharesAnotherLease(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.switchTo("web", "web-1")
		c.settle()
		c.editService("web", withAnnotation(api.AnnotationLeaseName, "db"))
		c.settle()
		// The epoch is kept, and so is the master.
		c.expect(
			"Lease db: web-1 @2 LeaseLost, of web",
			"Service web: app=web -> web-1 @2",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
	})
}

func TestElectionsThatOverlap(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.create(newService("older"), newPod("web-0"), newPod("web-1", withLabel("tier", "db")), newService("younger", withSelector("tier", "db")))
		s := c.start()
		c.settle()
		c.expect(
			"Lease older: web-0 @1 FirstEligible, of older",
			"Lease younger: web-1 @1 FirstEligible, of younger",
			"Service older: app=web -> web-0 @1",
			"Service younger: app=web,tier=db -> web-1 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
		warnings := slices.DeleteFunc(s.events.take(), func(e string) bool { return strings.HasPrefix(e, "Normal") })
		if want := "Warning OverlappingElection Check on younger: the Service older also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: older on this Service"; len(warnings) != 1 || warnings[0] != want {
			t.Errorf("warnings %q, want one\n%s", warnings, want)
		}

		c.editPod("web-0", setNotReady)
		c.settle()
		c.expect(
			"Lease older: web-1 @2 HolderNotReady, of older",
			"Lease younger: web-1 @1 FirstEligible, of younger",
			"Service older: app=web -> web-1 @2",
			"Service younger: app=web,tier=db -> web-1 @1",
			"Pod web-0: identified standby @2",
			"Pod web-1: identified active @2 spared",
		)
		s.client.ClearActions()
		c.wait(time.Hour)
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("they fight: %q", writes)
		}
	})
}

func TestSelectorThatIsRevertedIsPutBack(t *testing.T) {
	tests := map[string]func(*corev1.Service){
		"our key is removed":            func(s *corev1.Service) { delete(s.Spec.Selector, api.LabelPodUID) },
		"our key is set to another pod": withSelector(api.LabelPodUID, "uid-0"),
	}
	for name, revert := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := serving(c)
				c.editService("web", revert)
				c.settle()
				c.expect(
					"Lease web: web-0 @1 FirstEligible, of web",
					"Service web: app=web -> web-0 @1",
					"Pod web-0: identified active @1 spared",
					"Pod web-1: identified standby @1",
				)
				c.expectEvents(s, `Warning SelectorReverted Route on web: the field manager "kubectl" overwrote qoqo.dev/pod-uid in the selector; it was put back. If "kubectl" applies manifests, let it ignore the key, or let it set qoqo.dev/pod-designation: active for routing by label`)
			})
		})
	}
}

func TestRevertIsReportedByTheReplicaThatPutItBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		first := serving(c)
		second := c.start()
		c.settle()
		c.editService("web", func(s *corev1.Service) { delete(s.Spec.Selector, api.LabelPodUID) })
		c.settle()
		for _, s := range []*started{first, second} {
			if !slices.Contains(s.writes(), "patch services web") {
				t.Errorf("a replica did not try, so that nothing is tested: %q", s.writes())
			}
		}
		if events := append(first.events.take(), second.events.take()...); len(events) != 1 {
			t.Errorf("events %q, want one", events)
		}
	})
}

func TestMarksThatAreTakenFromPodsArePutBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		c.editPod("web-0", func(p *corev1.Pod) { delete(p.Labels, api.LabelPodUID); delete(p.Labels, api.LabelDesignation) })
		c.editPod("web-1", withLabel(api.LabelDesignation, api.DesignationActive))
		c.settle()
		c.expect(
			"Lease web: web-0 @1 FirstEligible, of web",
			"Service web: app=web -> web-0 @1",
			"Pod web-0: identified active @1 spared",
			"Pod web-1: identified standby @1",
		)
	})
}
