package main

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestARenewedLeaseIsBelieved(t *testing.T) {
	for name, watched := range map[string]bool{"with a watch": true, "without a watch": false} {
		t.Run(name, func(t *testing.T) {
			following(t, watched, func(f *follower) {
				f.renew(1)
				for range 10 {
					f.write()
					for range 20 {
						f.is(true)
						wait(100 * time.Millisecond)
					}
				}
			})
		})
	}
}

func TestAnUnrenewedLeaseIsBelievedForTwoThirds(t *testing.T) {
	following(t, true, func(f *follower) {
		f.renew(3)
		f.write()
		wait(3400 * time.Millisecond) // the pod asks every 500 ms, and counts from the question before
		f.is(true)
		wait(600 * time.Millisecond)
		f.is(false)
		wait(time.Hour)
		f.is(false)
		f.write()
		f.is(true)
	})
}

func TestAnOldLeaseIsNotBelievedAtStart(t *testing.T) {
	following(t, true, func(f *follower) {
		f.is(false)
		wait(time.Minute)
		f.is(false)
		f.write()
		f.is(true)
	})
}

func TestAnotherHolderIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		watched bool
		within  time.Duration
	}{
		"with a watch, at once":                   {watched: true},
		"without a watch, with the next question": {within: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			following(t, c.watched, func(f *follower) {
				f.renew(3)
				f.is(true)
				f.write(by("fencing-1", "u1", 2))
				wait(c.within)
				f.is(false)
				f.write(by("fencing-0", "u0", 3))
				wait(c.within)
				f.is(true)
			})
		})
	}
}

// The master cannot ask when its Lease is renewed for the last time, and until the Lease
// has expired. The renewal that it reads then is new to it, but it is too old.
func TestALastRenewalIsNotBelievedAfterAnOutage(t *testing.T) {
	following(t, true, func(f *follower) {
		f.renew(3)
		f.is(true)
		f.lost.Store(true)
		f.write()
		wait(3500 * time.Millisecond)
		f.is(false)
		wait(20 * time.Second)
		f.lost.Store(false)
		wait(10 * time.Second)
		f.is(false)
		f.write()
		f.is(true)
	})
}

// An answer may wait for a process that is frozen.
func TestAnAnswerThatComesLateIsNotBelieved(t *testing.T) {
	for name, before := range map[string]time.Duration{
		"the late answer has the renewal":     0, // the watch makes it ask
		"the answer after it has the renewal": 500 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			following(t, true, func(f *follower) {
				f.renew(3)
				f.delay.Store(int64(20 * time.Second))
				wait(before)
				f.write()
				f.delay.Store(0)
				wait(20 * time.Second)
				if got := f.lease.Spec.RenewTime; !got.Equal(held(f.renewals).Spec.RenewTime) {
					t.Fatalf("the latest renewal it has read is of %v", got)
				}
				f.is(false)
				wait(time.Second)
				f.write()
				f.is(true)
			})
		})
	}
}

func TestADeletedLeaseIsNotBelieved(t *testing.T) {
	following(t, true, func(f *follower) {
		f.renew(3)
		if err := f.client.Tracker().Delete(leases, "default", "fencing"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.is(false)
	})
}
