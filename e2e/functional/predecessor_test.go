//go:build e2e

package functional

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// The predecessor's master, a labelled pod without a Lease, stays the master, and clients
// lose nothing.
func TestPredecessorWithOneMaster(t *testing.T) {
	s := newScene(t)
	var master string
	var client *clientPod
	s.withoutController(func() {
		s.predecessor()
		for master = range s.pods("web") {
			break
		}
		s.designate(master)
		client = s.request("http://web")
	})
	lease := s.awaitMaster("web", 1, master)
	if reason := lease.Annotations[api.AnnotationReason]; reason != string(election.AlreadyDesignated) {
		t.Errorf("the Lease's reason is %s", reason)
	}
	client.check(0, master)

	next := s.standby("web")
	s.editHolder("web", next)
	s.awaitMaster("web", 2, next)
	client.awaitPod(next)
	client.check(-1, master, next)
}

// The predecessor never removed a label, so that two pods may have it. One of these stays
// the master, and the other becomes a standby.
func TestPredecessorWithTwoMasters(t *testing.T) {
	s := newScene(t)
	s.guard.Opened("web")
	var names []string
	s.withoutController(func() {
		s.predecessor()
		for name := range s.pods("web") {
			names = append(names, name)
		}
		s.designate(names[:2]...)
	})
	master := *s.awaitMaster("web", 1, anyPod).Spec.HolderIdentity
	if master == names[2] {
		t.Errorf("%s became the master, but the predecessor had not labelled it", master)
	}
	s.eventually("only the master is labelled active", func() error {
		for name, pod := range s.pods("web") {
			if designation := pod.Labels[api.LabelDesignation]; (designation == api.DesignationActive) != (name == master) {
				return fmt.Errorf("%s is labelled %q", name, designation)
			}
		}
		return nil
	})
	client := s.request("http://web")
	client.awaitPod(master)
}

// predecessor applies what the predecessor of the controller leaves behind.
func (s *scene) predecessor() {
	s.Helper()
	s.apply("deployment.yaml")
	s.awaitRollout("deployment/web")
	s.apply("predecessor.yaml")
}

// designate labels pods as the predecessor did.
func (s *scene) designate(pods ...string) {
	s.Helper()
	s.kubectl(append(append([]string{"label", "pod"}, pods...), api.LabelDesignation+"="+api.DesignationActive)...)
}

// withoutController runs f while no replica runs.
func (s *scene) withoutController(f func()) {
	s.Helper()
	scale := func(replicas int) error {
		_, err := cluster.Kubectl(context.Background(), "", "-n", kind.Namespace, "scale", kind.Deployment, fmt.Sprintf("--replicas=%d", replicas))
		return err
	}
	if err := scale(0); err != nil {
		s.Fatal(err)
	}
	// For the other tests, even if f fails.
	s.Cleanup(func() {
		if err := scale(2); err != nil {
			s.Error(err)
		}
	})
	s.eventually("no replica runs", func() error {
		pods := assert.Must(cluster.Client.CoreV1().Pods(kind.Namespace).List(s.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=active-standby-controller"}))(s)
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d replicas run", len(pods.Items))
		}
		return nil
	})
	f()
	if err := scale(2); err != nil {
		s.Fatal(err)
	}
	if err := cluster.AwaitRollout(s.Context(), kind.Namespace, kind.Deployment); err != nil {
		s.Fatal(err)
	}
}
