package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// stampedMeta is an object that is stamped with the epoch, if that is not empty.
func stampedMeta(name, epoch string) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{}, Annotations: map[string]string{}}
	if epoch != "" {
		meta.Annotations[api.AnnotationLeaseTransitions] = epoch
	}
	return meta
}

// stampedService selects the UID, if that is not empty.
func stampedService(uid, epoch string, own ...*discoveryv1.EndpointSlice) Member {
	s := &corev1.Service{ObjectMeta: stampedMeta("web", epoch), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}}
	if uid != "" {
		s.Spec.Selector[api.LabelPodUID] = uid
	}
	return Member{Service: s, Slices: own}
}

// stampedSlice lists the pod, if that is not empty.
func stampedSlice(uid, epoch string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: stampedMeta("web-master-ipv4", epoch)}
	if uid != "" {
		s.Endpoints = []discoveryv1.Endpoint{{}, {TargetRef: &corev1.ObjectReference{Kind: "Pod", UID: types.UID(uid)}}}
	}
	return s
}

// telling makes a slice one that tells of a master which it does not list.
func telling(uid string, s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Annotations[api.AnnotationHolderUID] = uid
	return s
}

func stampedPod(name, designation, epoch string) Pod {
	p := Pod{Pod: &corev1.Pod{ObjectMeta: stampedMeta(name, epoch)}}
	p.Labels[api.LabelDesignation] = designation
	if p.Annotations[api.AnnotationWitness] = "uid-" + name; designation == api.DesignationActive {
		p.Annotations[api.AnnotationWitness] += "@" + epoch
	}
	return p
}

func witnessing(p Pod, witness string) Pod {
	p.Annotations[api.AnnotationWitness] = witness
	return p
}

func TestTrace(t *testing.T) {
	const active, standby = api.DesignationActive, api.DesignationStandby
	ofAnotherElection := stampedPod("b", active, "9")
	ofAnotherElection.Elsewhere = true
	tests := map[string]struct {
		members []Member
		pods    []Pod
		want    election.Trace
	}{
		"there is no trace where nothing is written yet": {
			members: []Member{stampedService("", "")}, pods: []Pod{stampedPod("a", "", ""), stampedPod("b", active, "")},
		},
		"a Service tells the epoch and its holder": {
			members: []Member{stampedService("uid-a", "4")}, pods: []Pod{stampedPod("b", standby, "4")},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 4},
		},
		"a Service that waits for a master tells the epoch alone": {
			members: []Member{stampedService(api.NoPod, "4")},
			want:    election.Trace{Stamped: true, Epoch: 4},
		},
		"a Service whose key was removed tells the epoch alone": {
			members: []Member{stampedService("", "4")},
			want:    election.Trace{Stamped: true, Epoch: 4},
		},
		"a selector without a stamp is not the controller's": {
			members: []Member{stampedService("uid-a", "")},
		},
		"a stamp that cannot be read tells nothing": {
			members: []Member{stampedService("uid-a", "4.5")}, pods: []Pod{stampedPod("a", active, "3000000000")},
		},
		"a stamp that no cluster reaches tells nothing": {
			members: []Member{stampedService("uid-a", "4")}, pods: []Pod{stampedPod("b", active, "1073741825")},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 4},
		},
		"a master that is designated tells of itself": {
			members: []Member{stampedService("", "")}, pods: []Pod{stampedPod("b", standby, "4"), stampedPod("a", active, "4")},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 4},
		},
		"the last master that is known may be of an earlier epoch": {
			members: []Member{stampedService("", "")}, pods: []Pod{stampedPod("a", active, "3"), stampedPod("b", standby, "4")},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 3},
		},
		"a former master tells of itself": {
			members: []Member{stampedService("", "4")}, pods: []Pod{witnessing(stampedPod("a", standby, "4"), "uid-a@3")},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 3},
		},
		"a stamp that was copied from another pod tells nothing": {
			members: []Member{stampedService("", "")}, pods: []Pod{witnessing(stampedPod("a", active, "9"), "uid-b@9"), witnessing(stampedPod("c", active, "9"), "")},
		},
		"a label alone makes no master": {
			members: []Member{stampedService("", "")}, pods: []Pod{witnessing(stampedPod("a", active, "4"), "uid-a")},
			want: election.Trace{Stamped: true, Epoch: 4},
		},
		"the highest epoch counts, wherever it is": {
			members: []Member{stampedService("uid-a", "4"), stampedService("uid-b", "5")}, pods: []Pod{stampedPod("c", active, "3")},
			want: election.Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 5},
		},
		"the first object of an epoch that tells the holder counts": {
			members: []Member{stampedService(api.NoPod, "5"), stampedService("uid-b", "5")}, pods: []Pod{stampedPod("a", active, "5")},
			want: election.Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 5},
		},
		"the marks of another election's pod tell nothing": {
			members: []Member{stampedService("uid-a", "4")}, pods: []Pod{ofAnotherElection},
			want: election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 4},
		},
		"a slice tells the epoch and its holder before the Service does": {
			members: []Member{stampedService("", "4", stampedSlice("uid-b", "5"))}, pods: []Pod{stampedPod("a", active, "4")},
			want: election.Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 5},
		},
		"a slice that lists no pod tells of a master which no Service selects": {
			members: []Member{stampedService("", "4", telling("uid-b", stampedSlice("", "5")))},
			want:    election.Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 5},
		},
		"a slice without an endpoint tells the epoch alone": {
			members: []Member{stampedService("", "4", stampedSlice("", "5"))},
			want:    election.Trace{Stamped: true, Epoch: 5},
		},
		"a slice of an earlier epoch tells nothing": {
			members: []Member{stampedService("uid-a", "4", stampedSlice("uid-b", "3"))},
			want:    election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-a", HolderEpoch: 4},
		},
		"in epoch 0 there is no master, whatever a selector says": {
			members: []Member{stampedService("uid-a", "0")}, pods: []Pod{stampedPod("a", active, "0")},
			want: election.Trace{Stamped: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, trace(test.members, test.pods)); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
		})
	}
}
