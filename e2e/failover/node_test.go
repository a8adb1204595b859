package failover

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStartedSince(t *testing.T) {
	off := time.Date(2026, 11, 25, 12, 0, 0, 700_000_000, time.UTC)
	before, after, same := off.Add(-time.Minute), off.Add(time.Second), off.Truncate(time.Second)
	pod := func(ready corev1.ConditionStatus, started ...time.Time) corev1.Pod {
		p := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "web-0"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
		for _, at := range started {
			status := corev1.ContainerStatus{Name: "target"}
			if !at.IsZero() {
				status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(at)}
			}
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status)
		}
		return p
	}
	up := pod(corev1.ConditionTrue, after)
	terminating, failed, succeeded := pod(corev1.ConditionTrue, after), pod(corev1.ConditionFalse, before), pod(corev1.ConditionFalse, time.Time{})
	terminating.DeletionTimestamp = new(metav1.NewTime(after))
	failed.Status.Phase, succeeded.Status.Phase = corev1.PodFailed, corev1.PodSucceeded
	for name, test := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"all containers have started":                        {[]corev1.Pod{up, up}, ""},
		"a container has started in the same second":         {[]corev1.Pod{pod(corev1.ConditionTrue, same)}, ""},
		"a pod that is still shown as Ready has not started": {[]corev1.Pod{up, pod(corev1.ConditionTrue, before)}, "target of web-0 has not started again"},
		"the second container of a pod has not started":      {[]corev1.Pod{pod(corev1.ConditionTrue, after, before)}, "target of web-0 has not started again"},
		"a container does not run":                           {[]corev1.Pod{pod(corev1.ConditionTrue, time.Time{})}, "target of web-0 has not started again"},
		"a pod has started, but is not Ready":                {[]corev1.Pod{pod(corev1.ConditionFalse, after)}, "web-0 is not Ready"},
		"a pod that was replaced is still terminating":       {[]corev1.Pod{terminating}, "web-0 is not Ready"},
		"pods that have ended need not start":                {[]corev1.Pod{failed, succeeded, up}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := startedSince(test.pods, off); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}
