//go:build integration

package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

const (
	manyElections = 50
	atRest        = time.Minute
)

// While nothing changes nothing is written, however many elections there are;
// and all of them fail over when all masters fail at once.
func TestManyElections(t *testing.T) {
	s := newScene(t)
	names := make([]string, manyElections)
	for i := range names {
		names[i] = fmt.Sprintf("web-%02d", i)
		app := "web-" + fmt.Sprint(i)
		for _, pod := range []string{"a", "b"} {
			s.pod(names[i]+pod, func(p *corev1.Pod) { p.Labels["app"] = app })
		}
		s.service(names[i], func(service *corev1.Service) { service.Spec.Selector["app"] = app })
	}
	masters := map[string]string{}
	for _, name := range names {
		for _, pod := range []string{"a", "b"} {
			s.awaitReady(name + pod)
		}
		masters[name] = *s.awaitLease(name).Spec.HolderIdentity
		s.eventually("it is routed", func() error { return s.endpoints(name, masters[name]) })
	}
	s.awaitQuiet()

	since := time.Now()
	select {
	case <-time.After(atRest):
	case <-t.Context().Done():
	}
	seen := assert.Must(requests(since))(s)
	if writes := slices.DeleteFunc(slices.Clone(seen), func(r request) bool { return !r.write() }); len(writes) > 0 {
		t.Errorf("%d writes at rest: %v", len(writes), writes)
	}
	t.Logf("%d elections at rest: %d requests in %s, %d of them writes", manyElections, len(seen), atRest, 0)

	failed := time.Now()
	for _, name := range names {
		s.setReady(masters[name], false)
	}
	injected := time.Since(failed)
	for _, name := range names {
		other := map[string]string{name + "a": name + "b", name + "b": name + "a"}[masters[name]]
		s.eventually("all fail over", func() error { return s.endpoints(name, other) })
	}
	t.Logf("%d masters failed within %s; all were replaced after %s", manyElections, injected, time.Since(failed))
}

// The requests of a single failover, for the record.
func TestRequestsOfOneFailover(t *testing.T) {
	s := settled(t)
	s.awaitQuiet()
	since := time.Now()
	s.setReady("web-0", false)
	s.awaitMaster("web", "web-1", 2)
	s.awaitQuiet()
	seen := assert.Must(requests(since))(s)
	for _, r := range seen {
		t.Log(r)
	}
	// Both replicas work on it; the second's writes end in conflicts or are
	// found to be done. Without an end to them there would be a fight.
	if writes := slices.DeleteFunc(seen, func(r request) bool { return !r.write() }); len(writes) > 20 {
		t.Errorf("%d writes", len(writes))
	}
}

// awaitQuiet waits until the controller has written nothing in the namespace for a
// while.
func (s *scene) awaitQuiet() {
	s.Helper()
	const quiet = 2 * time.Second
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for since := time.Now(); ; since = time.Now() {
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			s.Fatal("the controller does not come to rest")
		}
		here := func(r request) bool { return r.write() && r.ObjectRef.Namespace == s.namespace }
		if seen := assert.Must(requests(since))(s); !slices.ContainsFunc(seen, here) {
			return
		}
	}
}
