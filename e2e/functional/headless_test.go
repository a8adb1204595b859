//go:build e2e

package functional

import (
	"fmt"
	"slices"
	"testing"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// A headless Service's name resolves to the master's address alone. After a switchover it
// resolves to the next master's, as soon as the caches have forgotten the old address.
func TestHeadless(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	master := s.pod(*s.web("headless.yaml").Spec.HolderIdentity)
	next := s.pod(s.standby("web"))
	resolver, client := s.lookup("web"), s.request("http://web:8080")

	s.editHolder("web", next.Name)
	resolver.awaitAnswer("the name resolves to the next master", func(r record.Request) error {
		if !slices.Equal(r.Addresses, []string{next.Status.PodIP}) {
			return fmt.Errorf("the name resolves to %v", r.Addresses)
		}
		return nil
	})
	client.awaitPod(next.Name)

	// The two replicas of CoreDNS forget at different times. For a while the two addresses
	// may therefore take turns, but no answer ever has both.
	requests := resolver.all()
	for _, r := range requests {
		if r.Error != "" || len(r.Addresses) != 1 || r.Addresses[0] != master.Status.PodIP && r.Addresses[0] != next.Status.PodIP {
			t.Errorf("a lookup has returned %v %s, want %s or %s", r.Addresses, r.Error, master.Status.PodIP, next.Status.PodIP)
		}
	}
	t.Logf("%d lookups", len(requests))
	if lost := record.Lost(client.all()); len(lost) > 0 {
		t.Errorf("%d requests are lost; the first: %+v", len(lost), lost[0])
	}
}
