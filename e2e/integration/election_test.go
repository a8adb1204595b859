//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

func TestFailover(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0", "web-1")
	s.service("web")
	master, standby := "web-0", "web-1"
	if s.awaitLease("web").Spec.HolderIdentity != nil && *s.awaitLease("web").Spec.HolderIdentity == standby {
		master, standby = standby, master
	}
	s.awaitMaster("web", master, 1)

	s.setReady(master, false)
	lease := s.awaitMaster("web", standby, 2)
	s.reason(lease, election.HolderNotReady)
	if note := s.awaitEvent("web", string(election.HolderNotReady)); !strings.Contains(note, standby) || !strings.Contains(note, "not Ready") {
		t.Errorf("the event says %q", note)
	}
	s.setReady(master, true)

	s.deletePod(standby)
	lease = s.awaitMaster("web", master, 3)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.HolderTerminating) && reason != string(election.HolderGone) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	if got := len(s.transitions("web")); got != 3 {
		t.Errorf("%d transitions are in events, want 3: %v", got, s.transitions("web"))
	}
}

func TestMasterTerminatesSlowly(t *testing.T) {
	s := newScene(t)
	s.pod("web-0", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/slow"} })
	s.awaitReady("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")

	s.deletePod("web-0")
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderTerminating)
	s.patchPod("web-0", `{"metadata":{"finalizers":null}}`)
}

func TestCordonedNode(t *testing.T) {
	s := newScene(t)
	nodes := assert.Must(client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}))(t).Items
	if len(nodes) < 2 {
		t.Fatalf("there are %d nodes, want 2 or more", len(nodes))
	}
	on := func(i int) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = nodes[i].Name } }
	s.pod("web-0", on(0))
	s.awaitReady("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.pod("web-1", on(1))
	s.awaitReady("web-1")

	cordon := func(ctx context.Context, unschedulable bool) {
		patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, unschedulable)
		if _, err := client.CoreV1().Nodes().Patch(ctx, nodes[0].Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { cordon(context.Background(), false) })
	cordon(t.Context(), true)
	s.reason(s.awaitMaster("web", "web-1", 2), election.NodeUnschedulable)

	s.editHolder("web", "web-0")
	if note := s.awaitEvent("web", "EditRefused"); !strings.Contains(note, "unschedulable") {
		t.Errorf("the event says %q", note)
	}
	cordon(t.Context(), false)
	s.editHolder("web", "web-0")
	s.reason(s.awaitMaster("web", "web-0", 3), election.HolderEdited)
}

func TestStatefulSetPodReborn(t *testing.T) {
	s := newScene(t)
	labels := map[string]string{"app": "web"}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.StatefulSetSpec{
		Replicas: ptr.To[int32](1), ServiceName: "web", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()},
	}}
	assert.Must(client.AppsV1().StatefulSets(s.namespace).Create(s.Context(), set, metav1.CreateOptions{}))(s)
	s.service("web")
	before := s.awaitMaster("web", "web-0", 1)

	s.deletePod("web-0")
	after := s.awaitMaster("web", "web-0", 2)
	if uid := after.Annotations[api.AnnotationHolderUID]; uid == before.Annotations[api.AnnotationHolderUID] {
		t.Errorf("the Lease still names the pod that is gone, %s", uid)
	}
	if got, want := s.getService("web").Spec.Selector[api.LabelPodUID], string(s.getPod("web-0").UID); got != want {
		t.Errorf("the Service selects %s, want %s", got, want)
	}
}

func TestNoCandidateAndBack(t *testing.T) {
	s := newScene(t)
	s.service("web")
	s.eventually("the Lease awaits a master", func() error {
		lease, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), "web", metav1.GetOptions{})
		if err == nil && (lease.Spec.HolderIdentity != nil || *lease.Spec.LeaseTransitions != 0) {
			return fmt.Errorf("its holder is %v", lease.Spec.HolderIdentity)
		}
		return err
	})
	s.readyPods("web-0")
	s.awaitMaster("web", "web-0", 1)

	s.setReady("web-0", false)
	s.awaitEvent("web", string(election.NobodyEligible))
	s.eventually("nobody is served", func() error { return s.endpoints("web") })
	if lease := s.lease("web"); *lease.Spec.HolderIdentity != "web-0" || *lease.Spec.LeaseTransitions != 1 {
		t.Errorf("the assignment is not held: %v", lease.Spec)
	}
	s.setReady("web-0", true)
	s.awaitMaster("web", "web-0", 1)
}

func TestSwitchover(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1", "web-2")

	s.editHolder("web", "web-2")
	moved := s.awaitMaster("web", "web-2", 2)
	s.reason(moved, election.HolderEdited)

	s.setReady("web-1", false)
	s.editHolder("web", "web-1")
	if note := s.awaitEvent("web", string(election.EditRefused)); !strings.Contains(note, "web-1 cannot become master: it is not Ready") {
		t.Errorf("the event says %q", note)
	}
	s.awaitMaster("web", "web-2", 2)

	s.editHolder("web", "default/web-0")
	s.eventually("the holder is put back", func() error {
		if holder := *s.lease("web").Spec.HolderIdentity; holder != "web-2" {
			return fmt.Errorf("it is %s", holder)
		}
		return nil
	})
	// What was refused leaves no trace on the Lease.
	now := s.awaitMaster("web", "web-2", 2)
	s.reason(now, election.HolderEdited)
	if !now.Spec.AcquireTime.Equal(moved.Spec.AcquireTime) {
		t.Errorf("acquireTime was %s and is %s", moved.Spec.AcquireTime, now.Spec.AcquireTime)
	}
}

func TestLeaseDeleted(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.editHolder("web", "web-1")
	s.awaitMaster("web", "web-1", 2)

	s.guard.MayGo("web")
	assert.Must(0, client.CoordinationV1().Leases(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
	s.reason(s.awaitMaster("web", "web-1", 2), election.LeaseLost)

	without(t, func() {
		assert.Must(0, client.CoordinationV1().Leases(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
	})
	s.reason(s.awaitMaster("web", "web-1", 2), election.LeaseLost)
}

func TestForeignLease(t *testing.T) {
	s := newScene(t)
	foreign := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To("somebody")}}
	foreign = assert.Must(client.CoordinationV1().Leases(s.namespace).Create(s.Context(), foreign, metav1.CreateOptions{}))(s)
	s.readyPods("web-0")
	s.service("web")
	if note := s.awaitEvent("web", string(election.LeaseForeign)); !strings.Contains(note, api.AnnotationLeaseName) {
		t.Errorf("the event does not say what to do: %q", note)
	}
	if now := s.lease("web"); now.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign Lease was written to: %v", now)
	}
	if uid := s.getService("web").Spec.Selector[api.LabelPodUID]; uid != api.NoPod {
		t.Errorf("the Service was routed to %s", uid)
	}
	// As the event advises.
	s.annotate("web", api.AnnotationLeaseName, ptr.To("web-master"))
	s.eventually("another Lease is used", func() error {
		return s.follows("web", "web-0", 1)
	})
	if holder := *s.lease("web-master").Spec.HolderIdentity; holder != "web-0" {
		t.Errorf("the holder is %s", holder)
	}
}

func TestPredecessorAdopted(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0", "web-1", "web-2")
	// The predecessor had moved from web-1 to web-2, and forgot to unlabel.
	s.patchPod("web-2", `{"metadata":{"labels":{"qoqo.dev/pod-designation":"active"}}}`)
	s.guard.Opened("web")
	s.service("web", func(service *corev1.Service) { delete(service.Spec.Selector, api.LabelPodUID) })
	s.reason(s.awaitMaster("web", "web-2", 1), election.AlreadyDesignated)
}

// awaitLease waits until there is a Lease with a holder.
func (s *scene) awaitLease(name string) (lease *coordinationv1.Lease) {
	s.Helper()
	s.eventually("the Lease has a holder", func() (err error) {
		lease, err = client.CoordinationV1().Leases(s.namespace).Get(s.Context(), name, metav1.GetOptions{})
		if err == nil && lease.Spec.HolderIdentity == nil {
			err = fmt.Errorf("it has none")
		}
		return err
	})
	return lease
}

func (s *scene) reason(lease *coordinationv1.Lease, want election.Reason) {
	s.Helper()
	if got := lease.Annotations[api.AnnotationReason]; got != string(want) {
		s.Errorf("the Lease's reason is %s, want %s", got, want)
	}
}

// transitions are the notes of the events of transitions.
func (s *scene) transitions(service string) (notes []string) {
	s.Helper()
	for _, e := range s.events(service) {
		switch election.Action(e.Action) {
		case election.Elect, election.Failover, election.Switchover:
			if e.Type == corev1.EventTypeNormal {
				notes = append(notes, e.Note)
			}
		}
	}
	return notes
}

func (s *scene) patchPod(name, body string) {
	s.Helper()
	assert.Must(client.CoreV1().Pods(s.namespace).Patch(s.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{}))(s)
}
