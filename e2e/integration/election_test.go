//go:build integration

package integration

import (
	"fmt"
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
