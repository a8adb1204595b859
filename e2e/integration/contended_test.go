//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// An application runs client-go's own leader election, as it is by default, on the Lease of the
// Service. The identity is that of a pod which is not the master.
func TestAnApplicationElectsOnTheLease(t *testing.T) {
	t.Parallel()
	if *guarded {
		t.Skip("the policy lets no application take the Lease")
	}
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1", "web-2")
	s.eventually("all pods are marked", func() error { return s.follows("web", "web-0", 1) })

	ctx, stop := context.WithCancel(t.Context())
	leads, ended := make(chan struct{}), make(chan struct{})
	elector := assert.Must(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web"}, Client: client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: "web-1"},
		},
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { close(leads) }, OnStoppedLeading: func() {}},
	}))(s)
	go func() {
		elector.Run(ctx)
		close(ended)
	}()
	defer func() {
		stop()
		<-ended
	}()
	select {
	case <-leads:
	case <-time.After(time.Minute):
		t.Fatal("the application does not get the Lease")
	}
	if note := s.awaitEvent("web", "LeaseContended"); !strings.Contains(note, "qoqo.dev/lease-name") || !strings.Contains(note, `"integration.test"`) {
		t.Errorf("the event says %q", note)
	}
	transitions := *s.lease("web").Spec.LeaseTransitions
	<-time.After(7 * time.Second)
	if err := s.follows("web", "web-0", 1); err != nil {
		t.Errorf("while an application renews the Lease, %v", err)
	}
	if l := s.lease("web"); *l.Spec.LeaseTransitions != transitions || lease.Decode(l).Epoch != 1 {
		t.Errorf("the Lease has had %d transitions, and then %d, and the epoch is %d", transitions, *l.Spec.LeaseTransitions, lease.Decode(l).Epoch)
	}

	s.setReady("web-0", false)
	s.eventually("web-2 or web-1 follows", func() error {
		held := lease.Decode(s.lease("web"))
		if held.Epoch != 2 {
			return fmt.Errorf("the epoch is %d", held.Epoch)
		}
		return s.follows("web", held.Holder, 2)
	})
	for _, e := range s.events("web") {
		if e.Reason == "EditRefused" || e.Reason == "HolderEdited" {
			t.Errorf("an application's election counts as a user's edit: %s", e.Note)
		}
	}
}
