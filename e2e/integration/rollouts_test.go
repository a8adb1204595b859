//go:build integration

package integration

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

var (
	surging = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxSurge: ptr.To(intstr.FromInt32(1)), MaxUnavailable: ptr.To(intstr.FromInt32(0)),
	}}
	recreating = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
)

// How often a rollout moves the master.
func TestRollouts(t *testing.T) {
	tests := map[string]struct {
		create  func(*scene)
		restart func(*scene)
		// master is the one before the rollout, empty for any pod.
		master string
		// moves is how many there are at least and at most.
		moves [2]int32
	}{
		"a Deployment that surges": {
			create: func(s *scene) { s.deployment(3, surging) }, restart: (*scene).restartDeployment, moves: [2]int32{1, 1},
		},
		// All its pods are deleted, one by one. The pod that follows the master may be deleted
		// next, and be followed by a pod that is deleted after it.
		"a Deployment that is recreated": {
			create: func(s *scene) { s.deployment(3, recreating) }, restart: (*scene).restartDeployment, moves: [2]int32{1, 3},
		},
		"a StatefulSet whose lowest is master": {
			create: func(s *scene) { s.statefulSet(3) }, restart: (*scene).restartStatefulSet, master: "web-0", moves: [2]int32{1, 1},
		},
		// By then the highest pod is new, and the lowest has yet to be replaced.
		"a StatefulSet whose middle one is master": {
			create: func(s *scene) { s.statefulSet(3) }, restart: (*scene).restartStatefulSet, master: "web-1", moves: [2]int32{1, 1},
		},
		// It is replaced first, and is followed by a pod that has yet to be replaced. It may be
		// back before the controller has noticed, because kwok's pods are fast.
		"a StatefulSet whose highest is master": {
			create: func(s *scene) { s.statefulSet(3) }, restart: (*scene).restartStatefulSet, master: "web-2", moves: [2]int32{1, 2},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			test.create(s)
			s.awaitPods(3)
			s.service("web")
			before := s.awaitLease("web")
			if holder := *before.Spec.HolderIdentity; test.master != "" && holder != test.master {
				s.awaitMaster("web", holder, 1)
				s.editHolder("web", test.master)
				before = s.awaitMaster("web", test.master, 2)
			}
			s.awaitMaster("web", *before.Spec.HolderIdentity, *before.Spec.LeaseTransitions)
			var old []*corev1.Pod
			for _, pod := range s.pods() {
				old = append(old, &pod)
				s.eventually("pods that are created now are younger", func() error { return past(pod.CreationTimestamp.Add(time.Second)) })
			}

			test.restart(s)
			s.awaitPods(3, old...)
			s.awaitQuiet()
			after := s.lease("web")
			s.awaitMaster("web", *after.Spec.HolderIdentity, *after.Spec.LeaseTransitions)
			moves := *after.Spec.LeaseTransitions - *before.Spec.LeaseTransitions
			if moves < test.moves[0] || moves > test.moves[1] {
				t.Errorf("the master moved %d times, want %v: %q", moves, test.moves, s.transitions("web"))
			}
			t.Logf("the master moved %d times", moves)
		})
	}
}

func (s *scene) deployment(replicas int32, strategy appsv1.DeploymentStrategy) {
	s.Helper()
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Strategy: strategy, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()},
	}}
	assert.Must(client.AppsV1().Deployments(s.namespace).Create(s.Context(), deployment, metav1.CreateOptions{}))(s)
}

func (s *scene) statefulSet(replicas int32) {
	s.Helper()
	labels := map[string]string{"app": "web"}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, ServiceName: "web", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()},
	}}
	assert.Must(client.AppsV1().StatefulSets(s.namespace).Create(s.Context(), set, metav1.CreateOptions{}))(s)
}

// restart is what kubectl rollout restart writes.
func restart() []byte {
	return fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
}

func (s *scene) restartDeployment() {
	s.Helper()
	assert.Must(client.AppsV1().Deployments(s.namespace).Patch(s.Context(), "web", types.MergePatchType, restart(), metav1.PatchOptions{}))(s)
}

func (s *scene) restartStatefulSet() {
	s.Helper()
	assert.Must(client.AppsV1().StatefulSets(s.namespace).Patch(s.Context(), "web", types.MergePatchType, restart(), metav1.PatchOptions{}))(s)
}

// awaitPods waits until there are so many pods, all of them Ready, without those that
// are to be gone.
func (s *scene) awaitPods(count int, gone ...*corev1.Pod) {
	s.Helper()
	s.eventually(fmt.Sprintf("there are %d pods", count), func() error {
		pods := s.pods()
		for _, pod := range pods {
			for _, g := range gone {
				if pod.UID == g.UID {
					return fmt.Errorf("there is still %s", pod.Name)
				}
			}
			if pod.DeletionTimestamp != nil || readySince(&pod).IsZero() {
				return fmt.Errorf("%s is not Ready", pod.Name)
			}
		}
		if len(pods) != count {
			return fmt.Errorf("there are %d", len(pods))
		}
		return nil
	})
}

// past returns an error before the time.
func past(at time.Time) error {
	if left := time.Until(at); left > 0 {
		return fmt.Errorf("it is in %s", left)
	}
	return nil
}
