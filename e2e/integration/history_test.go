//go:build integration

package integration

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// What has happened is read from the API server afterwards: it replays a watch from a
// version that a test has seen. So nothing depends on when the test looks.

// replay calls visit for the events that a watch began with, until that says stop.
func (s *scene) replay(what string, began watch.Interface, visit func(watch.Event) (stop bool)) {
	s.Helper()
	defer began.Stop()
	timeout := time.After(patience)
	for {
		select {
		case event, more := <-began.ResultChan():
			if !more || event.Type == watch.Error {
				s.Fatalf("%s: the watch ended with %v", what, event.Object)
			}
			if visit(event) {
				return
			}
		case <-timeout:
			s.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// leaseVersions are those of the Lease from one to the other, both included.
func (s *scene) leaseVersions(from, to *coordinationv1.Lease) []*coordinationv1.Lease {
	s.Helper()
	versions := []*coordinationv1.Lease{from}
	if from.ResourceVersion == to.ResourceVersion {
		return versions
	}
	one := metav1.ListOptions{FieldSelector: "metadata.name=" + from.Name, ResourceVersion: from.ResourceVersion}
	s.replay("the versions of the Lease", assert.Must(client.CoordinationV1().Leases(s.namespace).Watch(s.Context(), one))(s), func(event watch.Event) bool {
		lease := event.Object.(*coordinationv1.Lease)
		versions = append(versions, lease)
		return lease.ResourceVersion == to.ResourceVersion
	})
	return versions
}

// became is the version of the Lease in which that epoch began, among those from one
// to the other.
func (s *scene) became(epoch int32, from, to *coordinationv1.Lease) *coordinationv1.Lease {
	s.Helper()
	for _, lease := range s.leaseVersions(from, to) {
		if ptr.Deref(lease.Spec.LeaseTransitions, 0) == epoch {
			return lease
		}
	}
	s.Fatalf("there was no epoch %d", epoch)
	return nil
}

// electedAfterItsEnd checks that the pod was gone when the Lease, in the version that
// began the epoch of to, got its next holder. Versions of different kinds can be
// compared, because one etcd numbers them all.
func (s *scene) electedAfterItsEnd(pod *corev1.Pod, from, to *coordinationv1.Lease) {
	s.Helper()
	elected := s.became(*to.Spec.LeaseTransitions, from, to)
	gone := ""
	one := metav1.ListOptions{FieldSelector: "metadata.name=" + pod.Name, ResourceVersion: from.ResourceVersion}
	s.replay("the end of "+pod.Name, assert.Must(client.CoreV1().Pods(s.namespace).Watch(s.Context(), one))(s), func(event watch.Event) bool {
		gone = event.Object.(*corev1.Pod).ResourceVersion
		return event.Type == watch.Deleted && event.Object.(*corev1.Pod).UID == pod.UID
	})
	if s.number(gone) > s.number(elected.ResourceVersion) {
		s.Errorf("%s was elected in version %s, and %s gone in %s", *elected.Spec.HolderIdentity, elected.ResourceVersion, pod.Name, gone)
	}
}

func (s *scene) number(resourceVersion string) uint64 {
	s.Helper()
	return assert.Must(strconv.ParseUint(resourceVersion, 10, 64))(s)
}

// deletions are the pods that the controller has deleted in the scene.
func (s *scene) deletions() (pods []string) {
	s.Helper()
	for _, r := range assert.Must(requests(time.Time{}))(s) {
		if r.Verb == "delete" && r.ObjectRef.Resource == "pods" && r.ObjectRef.Namespace == s.namespace && r.ResponseStatus.Code == 200 {
			pods = append(pods, r.ObjectRef.Name)
		}
	}
	return pods
}

// awaitNote waits for an event of the Service that says so.
func (s *scene) awaitNote(service, reason, text string) {
	s.Helper()
	s.eventually(fmt.Sprintf("an event %s of %s says %q", reason, service, text), func() error {
		var others []string
		for _, e := range s.events(service) {
			if e.Reason == reason && strings.Contains(e.Note, text) {
				return nil
			}
			others = append(others, e.Reason+": "+e.Note)
		}
		return fmt.Errorf("there are %q", others)
	})
}
