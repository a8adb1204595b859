//go:build integration

package integration

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestDemotedPodDeleted(t *testing.T) {
	workloads := map[string]func(*scene){
		"StatefulSet": func(s *scene) { s.statefulSet(3) },
		"Deployment":  func(s *scene) { s.deployment(3, surging) },
	}
	moves := map[string]func(s *scene, master, other string){
		"switchover":        func(s *scene, _, other string) { s.editHolder("web", other) },
		"failover NotReady": func(s *scene, master, _ string) { s.setReady(master, false) },
	}
	for workload, create := range workloads {
		for name, move := range moves {
			t.Run(workload+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				create(s)
				s.service("web", with(api.AnnotationOnDemote, api.OnDemoteDelete))
				s.awaitPods(3)
				before := s.awaitLease("web")
				master := s.getPod(*before.Spec.HolderIdentity)
				s.awaitMaster("web", master.Name, 1)

				move(s, master.Name, s.otherThan(master))
				s.awaitNote("web", "HolderDemoted", "deleting "+master.Name+": ")
				s.awaitPods(3, master)
				now := s.lease("web")
				s.awaitMaster("web", *now.Spec.HolderIdentity, 2)
				if got, want := now.Annotations[api.AnnotationDemotedUID], string(master.UID); got != want {
					t.Errorf("the Lease says of %s that it is demoted, want %s", got, want)
				}
				s.awaitQuiet()
				// Not its successor of the same name either.
				if diff := gocmp.Diff([]string{master.Name}, s.deletions()); diff != "" {
					t.Errorf("deletions (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// otherThan is one of the other pods, which all are Ready.
func (s *scene) otherThan(pod *corev1.Pod) string {
	s.Helper()
	for _, other := range s.pods() {
		if other.UID != pod.UID {
			return other.Name
		}
	}
	s.Fatalf("there is only %s", pod.Name)
	return ""
}

func (s *scene) pods() []corev1.Pod {
	s.Helper()
	return assert.Must(client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items
}
