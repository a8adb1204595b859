package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

var (
	leases     = coordinationv1.SchemeGroupVersion.WithResource("leases")
	errNoRoute = errors.New("no route")
)

func TestMain(m *testing.M) {
	// The second handler delays informers by the time since the program's start, which is
	// 26 years from a bubble's time.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	m.Run()
}

// follower is the pod fencing-0 and an API server. Time is that of a bubble.
type follower struct {
	*testing.T
	*member
	client *fake.Clientset
	// renewals counts the renewals of the Lease.
	renewals int
	// lost is whether the API server does not answer, and delay how long an answer is on
	// its way.
	lost  atomic.Bool
	delay atomic.Int64
}

// following runs a test with a pod that has found an old Lease. Unless watched is true,
// its watch cannot be opened.
func following(t *testing.T, watched bool, test func(f *follower)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &follower{T: t, member: &member{pod: "fencing-0", uid: "u0"}, client: fake.NewClientset(held(0))}
		f.client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			if f.lost.Load() {
				return true, nil, errNoRoute
			}
			lease, err := f.client.Tracker().Get(leases, "default", "fencing")
			pass(time.Duration(f.delay.Load()))
			return true, lease, err
		})
		if !watched {
			f.client.PrependReactor("list", "leases", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errNoRoute })
			f.client.PrependWatchReactor("leases", func(clienttesting.Action) (bool, watch.Interface, error) { return true, nil, errNoRoute })
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.follow(ctx, f.client, "default", "fencing") }()
		synctest.Wait()
		test(f)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // There is nothing to wait for but time.
}

// wait lets time pass in a bubble, and everything be done that is due by then.
func wait(d time.Duration) {
	pass(d)
	synctest.Wait()
}

// write writes the Lease as the controller does.
func (f *follower) write(changes ...func(*coordinationv1.Lease)) {
	f.Helper()
	f.renewals++
	if err := f.client.Tracker().Update(leases, held(f.renewals, changes...), "default"); err != nil {
		f.Fatal(err)
	}
	synctest.Wait()
}

// renew renews the Lease that many times, and lets a third of its duration pass after
// each.
func (f *follower) renew(times int) {
	f.Helper()
	for range times {
		f.write()
		wait(2 * time.Second)
	}
}

// is fails the test unless the pod believes, or does not, that it is the master.
func (f *follower) is(want bool) {
	f.Helper()
	if _, master := f.Epoch(time.Now()); master != want {
		f.Errorf("%d renewals: master %v, want %v", f.renewals, master, want)
	}
}
