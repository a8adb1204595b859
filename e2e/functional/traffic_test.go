//go:build e2e

package functional

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/traffic"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// clientPod is a pod that sends requests or lookups again and again.
type clientPod struct {
	*scene
	pod *traffic.Pod
}

// late is the time after which a request is lost. It is long because a machine that
// starts pods may be too busy to answer for a second or two. A request that is routed to
// a pod that is gone is never answered, however long it waits.
const late = 5 * time.Second

// request starts a pod that requests a URL every 20 ms over new connections, and waits
// until it is answered.
func (s *scene) request(url string) *clientPod {
	s.Helper()
	return s.client("request", "-timeout", late.String(), "-url", url)
}

// keep starts a pod that requests a URL every 20 ms over one connection for as long as
// that lasts, and waits until it is answered.
func (s *scene) keep(url string) *clientPod {
	s.Helper()
	return s.client("request", "-keep", "-timeout", late.String(), "-url", url)
}

// lookup starts a pod that resolves a name every 100 ms, and waits until it is resolved.
func (s *scene) lookup(name string) *clientPod {
	s.Helper()
	return s.client("lookup", "-every", "100ms", "-name", name)
}

func (s *scene) client(args ...string) *clientPod {
	s.Helper()
	// On the control plane's node, because no test drains or restarts it.
	pod := assert.Must(traffic.Start(s.Context(), cluster.Client, s.namespace, cluster.ControlPlane, targetImage, map[string][]string{"client": args}))(s)
	t := &clientPod{scene: s, pod: pod}
	// Requests count from the first answer on. The second answer is to such a request.
	for range 2 {
		t.awaitAnswer("there is an answer", func(record.Request) error { return nil })
	}
	return t
}

// all returns the requests up to now, in the order of sending, that were sent after the
// first answer. It waits until all of them are answered or lost.
func (t *clientPod) all() (requests []record.Request) {
	t.Helper()
	latest := 0
	t.eventually("all requests are answered or lost", func() error {
		requests = assert.Must(t.pod.Read(t.Context(), "client", 0))(t)
		if latest == 0 {
			latest = slices.MaxFunc(requests, byNumber).Number
		}
		requests = slices.DeleteFunc(requests, func(r record.Request) bool { return r.Number > latest })
		if first := slices.MinFunc(requests, byNumber).Number; len(requests) < latest-first+1 {
			return fmt.Errorf("%d of the requests up to number %d are not", latest-first+1-len(requests), latest)
		}
		return nil
	})
	return record.Answered(requests)
}

func byNumber(a, b record.Request) int { return cmp.Compare(a.Number, b.Number) }

// awaitAnswer waits until a request that is sent from now on has an answer for which
// please returns nil.
func (t *clientPod) awaitAnswer(what string, please func(record.Request) error) {
	t.Helper()
	now := time.Now()
	t.eventually(what, func() error {
		latest, err := t.pod.Read(t.Context(), "client", 1)
		if err != nil {
			return err
		}
		if len(latest) == 0 || latest[0].Sent.Before(now) {
			return fmt.Errorf("no request is answered yet")
		}
		if latest[0].Error != "" {
			return fmt.Errorf("the latest request is lost: %s", latest[0].Error)
		}
		return please(latest[0])
	})
}

// awaitPod waits until the pod answers a request that is sent from now on.
func (t *clientPod) awaitPod(pod string) {
	t.Helper()
	t.awaitAnswer(pod+" answers", func(r record.Request) error {
		if r.Pod != pod {
			return fmt.Errorf("%q answers", r.Pod)
		}
		return nil
	})
}

// check fails the test unless exactly the wanted pods have answered, in that order. If
// none are given, it fails the test if a master answered again after its successor. It
// also fails the test if more than mayLose requests were lost, unless that is -1.
func (t *clientPod) check(mayLose int, want ...string) {
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
		t.Errorf("%d requests are lost, want %d at most; the first: %+v", len(lost), mayLose, lost[0])
	}
}

// connections returns how many connections a client of keep has had.
func (t *clientPod) connections() int {
	t.Helper()
	had := sets.New[string]()
	for _, r := range t.all() {
		if r.Error == "" {
			had.Insert(r.Connection)
		}
	}
	return had.Len()
}

// handedOver says how long after the given time the last answer of one pod and the first
// answer of the other came.
func (t *clientPod) handedOver(from, to string, since time.Time) string {
	t.Helper()
	var last, first time.Time
	for _, r := range t.all() {
		switch {
		case r.Error == "" && r.Pod == from:
			last = r.Done
		case r.Error == "" && r.Pod == to && first.IsZero():
			first = r.Done
		}
	}
	return fmt.Sprintf("the last answer of %s came %s and the first answer of %s came %s after",
		from, last.Sub(since).Round(time.Millisecond), to, first.Sub(since).Round(time.Millisecond))
}

func span(requests []record.Request) string {
	if len(requests) == 0 {
		return ""
	}
	return fmt.Sprintf(" within %s", requests[len(requests)-1].Sent.Sub(requests[0].Sent).Round(time.Millisecond))
}
