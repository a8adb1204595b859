//go:build gitops

package gitops

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// sight is what the EndpointSlices of a namespace list as ready from a moment on.
type sight struct {
	at   time.Time
	pods []string
}

// traffic is all that the EndpointSlices of a namespace have listed, as a watch has told it.
type traffic struct {
	lock   sync.Mutex
	sights []sight
	last   time.Time // of any event
}

func follow(t *testing.T, namespace string) *traffic {
	t.Helper()
	f := &traffic{sights: []sight{{at: time.Now()}}, last: time.Now()}
	// The namespace is new: there is nothing in it yet.
	w := assert.Must(client.DiscoveryV1().EndpointSlices(namespace).Watch(t.Context(), metav1.ListOptions{}))(t)
	var done sync.WaitGroup
	now := map[string][]string{}
	done.Go(func() {
		for event := range w.ResultChan() {
			if s, ok := event.Object.(*discoveryv1.EndpointSlice); ok {
				now[s.Name] = ready(s)
				if event.Type == watch.Deleted {
					delete(now, s.Name)
				}
				f.see(sets.List(sets.New(slices.Concat(slices.Collect(maps.Values(now))...)...)))
			}
		}
	})
	t.Cleanup(func() { w.Stop(); done.Wait() })
	return f
}

func ready(s *discoveryv1.EndpointSlice) (pods []string) {
	for _, e := range s.Endpoints {
		// An unset condition means ready, to kube-proxy too.
		if ptr.Deref(e.Conditions.Ready, true) {
			pods = append(pods, e.TargetRef.Name)
		}
	}
	return pods
}

func (f *traffic) see(pods []string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.last = time.Now()
	f.sights = append(f.sights, sight{f.last, pods})
}

// now returns what is listed, and since when there was no event.
func (f *traffic) now() ([]string, time.Time) {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.sights[len(f.sights)-1].pods, f.last
}

// served returns which pods were listed, one after the other; several at a time are joined with "+".
func (f *traffic) served() (all []string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, s := range f.sights {
		if len(s.pods) > 0 {
			all = append(all, strings.Join(s.pods, "+"))
		}
	}
	return slices.Compact(all)
}

// longest returns for how many milliseconds, at the longest, the slices listed such pods between two moments.
func (f *traffic) longest(from, to time.Time, such func(pods []string) bool) float64 {
	f.lock.Lock()
	defer f.lock.Unlock()
	var run, longest time.Duration
	for i, s := range f.sights {
		ended := to
		if i+1 < len(f.sights) && f.sights[i+1].at.Before(to) {
			ended = f.sights[i+1].at
		}
		began := s.at
		if began.Before(from) {
			began = from
		}
		if !such(s.pods) {
			run = 0
		} else if began.Before(ended) {
			run += ended.Sub(began)
		}
		longest = max(longest, run)
	}
	return float64(longest.Microseconds()) / 1000
}

func several(pods []string) bool { return len(pods) > 1 }

func none(pods []string) bool { return len(pods) == 0 }

// notOnly reports whether another pod than the master is listed.
func notOnly(master string) func(pods []string) bool {
	return func(pods []string) bool { return slices.ContainsFunc(pods, func(p string) bool { return p != master }) }
}
