//go:build e2e

package functional

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// The master ignores SIGTERM, and holds a lock that its successor needs. With
// after-termination the successor gets traffic only once the lock is free, for whatever
// reason the master must go. Without it the successor gets traffic at once, and cannot
// serve yet.
func TestAfterTermination(t *testing.T) {
	t.Parallel()
	const (
		afterTermination = api.AnnotationHandover + "=" + api.HandoverAfterTermination
		deleteDemoted    = api.AnnotationOnDemote + "=" + api.OnDemoteDelete
	)
	edit := func(s *scene, _ *corev1.Pod) { s.editHolder("web", s.standby("web")) }
	hang := func(s *scene, master *corev1.Pod) {
		if err := cluster.Signal(s.Context(), s.namespace, master.Name, "SIGSTOP"); err != nil {
			s.Fatal(err)
		}
	}
	edited := []election.Reason{election.HolderEdited}
	// Either reason, because the pod is gone soon after it has finished.
	stopped := []election.Reason{election.HolderFinished, election.HolderGone}
	remove := func(s *scene, master *corev1.Pod) { s.kubectl("delete", "pod", master.Name, "--wait=false") }
	for name, test := range map[string]struct {
		annotations []string
		act         func(*scene, *corev1.Pod)
		reasons     []election.Reason
		overlaps    bool
	}{
		"a switchover waits for the master to stop": {
			annotations: []string{afterTermination, deleteDemoted}, act: edit, reasons: edited,
		},
		"a failover of a master that hangs waits for it to stop": {
			annotations: []string{afterTermination, deleteDemoted}, act: hang, reasons: stopped,
		},
		"a failover of a master that is deleted waits for it to stop": {
			annotations: []string{afterTermination}, act: remove, reasons: stopped,
		},
		"a switchover without after-termination does not wait": {
			annotations: []string{deleteDemoted}, act: edit, reasons: edited, overlaps: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			master := s.pod(*s.webOf("stubborn.yaml", "clusterip.yaml", test.annotations...).Spec.HolderIdentity)
			history, client := s.history(), s.request("http://web")
			began := time.Now()
			test.act(s, master)
			lease := s.awaitMaster("web", 2, anyPod)
			next := *lease.Spec.HolderIdentity
			ended, known := history.awaitEnd(master)
			client.awaitPod(next)

			moved := lease.Spec.AcquireTime.Time
			t.Logf("the processes ended about %s after the cause, which was known after %s, and the next master was elected after %s; %s the cause",
				ended.Sub(began).Round(time.Second), known.Sub(began).Round(time.Millisecond), moved.Sub(began).Round(time.Millisecond),
				client.handedOver(master.Name, next, began))
			if early := moved.Before(ended); early != test.overlaps {
				t.Errorf("%s became master at %s, %s ended at %s", next, moved, master.Name, ended)
			}
			conflicts := 0
			for _, r := range client.all() {
				if strings.Contains(r.Error, "409 Conflict") {
					conflicts++
				}
			}
			if overlaps := conflicts > 0; overlaps != test.overlaps {
				t.Errorf("%d requests reached a pod that could not serve yet, want some: %t", conflicts, test.overlaps)
			}
			if reason := election.Reason(lease.Annotations[api.AnnotationReason]); !slices.Contains(test.reasons, reason) {
				t.Errorf("the Lease's reason is %s, want one of %v", reason, test.reasons)
			}
			s.awaitRollout("deployment/web")
			s.unmoved(lease)
			client.check(-1, master.Name, next)
		})
	}
}
