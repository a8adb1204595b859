//go:build e2e

package functional

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/target/record"
)

// traffic is a pod that asks again and again.
type traffic struct {
	*scene
	pod string
}

// request starts a pod that requests a URL every 20 ms, and waits until it is
// answered.
func (s *scene) request(url string) *traffic {
	s.Helper()
	return s.traffic("request", "-url", url)
}

// lookup starts a pod that resolves a name again and again.
func (s *scene) lookup(name string) *traffic {
	s.Helper()
	return s.traffic("lookup", "-every", "100ms", "-name", name)
}

func (s *scene) traffic(args ...string) *traffic {
	s.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "client-"},
		Spec: corev1.PodSpec{
			// The node that no test drains or restarts; its taint is for the scheduler.
			NodeName:      cluster.ControlPlane,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "client", Image: targetImage, Args: args}},
		},
	}
	pod = must(cluster.Client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{}))(s)
	t := &traffic{scene: s, pod: pod.Name}
	t.awaitAnswer("there is an answer", func(record.Request) error { return nil })
	return t
}

// all returns what was asked and answered up to now, in the order in which it
// was asked, from the first answer on.
func (t *traffic) all() (requests []record.Request) {
	t.Helper()
	requests = must(t.read(nil))(t.scene)
	slices.SortFunc(requests, func(a, b record.Request) int { return a.Sent.Compare(b.Sent) })
	first := slices.IndexFunc(requests, func(r record.Request) bool { return r.Error == "" })
	return requests[max(first, 0):]
}

func (t *traffic) read(lines *int64) (requests []record.Request, err error) {
	log, err := cluster.Client.CoreV1().Pods(t.namespace).GetLogs(t.pod, &corev1.PodLogOptions{TailLines: lines}).DoRaw(t.Context())
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(log) {
		var r record.Request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%w: %q", err, line)
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// awaitAnswer waits until an answer that is asked for from now on pleases.
func (t *traffic) awaitAnswer(what string, please func(record.Request) error) {
	t.Helper()
	now := time.Now()
	t.eventually(what, func() error {
		latest, err := t.read(ptr.To[int64](1))
		if err != nil {
			return err
		}
		if len(latest) == 0 || latest[0].Sent.Before(now) {
			return fmt.Errorf("nothing was asked yet")
		}
		if latest[0].Error != "" {
			return fmt.Errorf("lost: %s", latest[0].Error)
		}
		return please(latest[0])
	})
}

// awaitPod waits until the pod answers.
func (t *traffic) awaitPod(pod string) {
	t.Helper()
	t.awaitAnswer(pod+" answers", func(r record.Request) error {
		if r.Pod != pod {
			return fmt.Errorf("%s does", cmp.Or(r.Pod, "nobody"))
		}
		return nil
	})
}

// check fails the test if others answered than those wanted, in that order; or,
// if none are given, if a master answered again after its successor. It also
// does if more requests were lost than may be; -1 for any number.
func (t *traffic) check(mayLose int, want ...string) {
	t.Helper()
	requests := t.all()
	seen := map[record.Answer]bool{}
	var pods []string
	for _, stint := range record.Stints(requests) {
		if want == nil && seen[stint] {
			t.Errorf("%s answered again after its successor", stint.Pod)
		}
		seen[stint] = true
		pods = append(pods, stint.Pod)
	}
	if want != nil && !slices.Equal(pods, want) {
		t.Errorf("%v answered, want %v", pods, want)
	}
	lost := record.Lost(requests)
	t.Logf("%d requests, %d of them lost%s; answered by %v", len(requests), len(lost), span(lost), pods)
	if mayLose >= 0 && len(lost) > mayLose {
		t.Errorf("%d requests are lost, %d may be; the first: %+v", len(lost), mayLose, lost[0])
	}
}

func span(requests []record.Request) string {
	if len(requests) == 0 {
		return ""
	}
	return fmt.Sprintf(" within %s", requests[len(requests)-1].Sent.Sub(requests[0].Sent).Round(time.Millisecond))
}
