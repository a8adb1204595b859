package lease

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestRenewalDue(t *testing.T) {
	// An interval is 6 s, a quarter of it 1.5 s; at start one begins.
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	const never = -1000
	tests := map[string]struct {
		phase, lag float64
		// renewed and now are in seconds after start.
		renewed, now float64
		due          bool
		// again is in seconds.
		again float64
	}{
		"a Lease that was never renewed is due":                                                     {renewed: never, now: 3, due: true, again: 3},
		"a Lease that was renewed in the interval before is due":                                    {renewed: -1, now: 3, due: true, again: 3},
		"a Lease that was renewed in this interval is not due until the next begins":                {renewed: 1, now: 3, again: 3},
		"a Lease is due when the next interval begins":                                              {renewed: 1, now: 6, due: true, again: 6},
		"an interval ends a moment before the next":                                                 {renewed: 1, now: 5.5, again: 0.5},
		"a Lease that was renewed at an interval's beginning was renewed in that interval":          {renewed: 0, now: 3, again: 3},
		"a Lease that was renewed now is not due":                                                   {renewed: 3, now: 3, again: 3},
		"each Lease has intervals of its own":                                                       {phase: 0.5, renewed: 1, now: 2.5, again: 0.5},
		"an interval begins when those of other Leases are half over":                               {phase: 0.5, renewed: 1, now: 3, due: true, again: 6},
		"an interval goes on past the beginning of other Leases' next one":                          {phase: 0.5, renewed: 4, now: 7, again: 2},
		"a replica that is second waits for the first":                                              {lag: 1, renewed: -5, now: 1, again: 0.5},
		"a replica that is second renews if the first has not":                                      {lag: 1, renewed: -5, now: 1.5, due: true, again: 6},
		"a replica that is second does not renew if the first has":                                  {lag: 1, renewed: 0.1, now: 1.5, again: 6},
		"a replica that is second does not renew if the first has at the interval's very beginning": {lag: 1, renewed: 0, now: 1.5, again: 6},
		"a replica that is second has its next moment a whole interval later":                       {lag: 1, renewed: 1.5, now: 1.6, again: 5.9},
		"the lag follows the Lease's own moment":                                                    {phase: 0.5, lag: 0.5, renewed: 1, now: 3.5, again: 0.25},
		"the Lease is due once the lag has passed too":                                              {phase: 0.5, lag: 0.5, renewed: 1, now: 3.75, due: true, again: 6},
		"a lag may pass into the next interval":                                                     {phase: 0.9, lag: 1, renewed: -1.5, now: 0.5, again: 0.4},
		"a lag that passes into the next interval ends there":                                       {phase: 0.9, lag: 1, renewed: -1.5, now: 0.9, due: true, again: 6},
		"a renewal by a clock that is ahead counts for nothing":                                     {renewed: 3600, now: 3, due: true, again: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := Renewal{Duration: 18 * time.Second, Phase: test.phase, Lag: test.lag}
			due, again := r.Due(at(test.renewed), at(test.now))
			if want := at(test.again).Sub(start); due != test.due || (again-want).Abs() > time.Microsecond {
				t.Errorf("due: %v, again after %s; want %v, again after %s", due, again, test.due, want)
			}
		})
	}
	if due, _ := (Renewal{Duration: 18 * time.Second}).Due(time.Time{}, start); !due {
		t.Error("a Lease without a time of renewal is not due")
	}
}

// replica is a replica of the controller that renews Leases.
type replica struct {
	// ahead is how much its clock is ahead.
	ahead time.Duration
	// dies is when the replica dies; zero for never.
	dies time.Time
}

// renewal is a write to a Lease.
type renewal struct {
	at time.Time
	by int
}

// renewals returns the renewals of a Lease by replicas with these lags. Each replica looks at
// the Lease when Due told it to, and sees what others have written.
func renewals(r Renewal, lags []float64, replicas []replica, until time.Time) (all []renewal) {
	renewed := time.Time{}
	next := make([]time.Time, len(replicas))
	for i := range next {
		next[i] = start
	}
	for {
		first := -1
		for i, other := range replicas {
			alive := other.dies.IsZero() || next[i].Before(other.dies)
			if alive && (first < 0 || next[i].Before(next[first])) {
				first = i
			}
		}
		at := next[first]
		if at.After(until) {
			return all
		}
		r.Lag = lags[first]
		clock := at.Add(replicas[first].ahead)
		due, again := r.Due(renewed, clock)
		if due {
			renewed = clock
			all = append(all, renewal{at, first})
		}
		next[first] = at.Add(again)
	}
}

func TestRenewals(t *testing.T) {
	const (
		leases   = 1000
		seconds  = 180
		duration = 15 * time.Second
		interval = duration / 3
	)
	end := start.Add(seconds * time.Second)
	// At the start all Leases are due at once. From begun on the writes are spread.
	begun := start.Add(2 * interval)
	died := start.Add(61 * time.Second)
	tests := map[string]struct {
		replicas []replica
		// writers is how many replicas may renew a Lease in the same interval.
		writers int
	}{
		"one replica":                        {[]replica{{}}, 1},
		"two replicas":                       {[]replica{{}, {}}, 1},
		"three replicas":                     {[]replica{{}, {}, {}}, 1},
		"two, of which one dies":             {[]replica{{dies: died}, {}}, 1},
		"two, of which one's clock is ahead": {[]replica{{ahead: time.Hour + 1234*time.Millisecond}, {}}, 2},
		"two, of which one's clock is ahead until that one dies": {[]replica{{ahead: time.Hour + 1234*time.Millisecond, dies: died}, {}}, 2},
		"two, of which one's clock is behind":                    {[]replica{{ahead: -time.Hour - 4321*time.Millisecond}, {}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			perSecond := make([]int, seconds)
			for range leases {
				r := Renewal{Duration: duration, Phase: random.Float64()}
				lags, first := make([]float64, len(test.replicas)), 0
				for i := range lags {
					if lags[i] = random.Float64(); lags[i] < lags[first] {
						first = i
					}
				}
				all := renewals(r, lags, test.replicas, end)
				for i, b := range append(all, renewal{end, first}) {
					if i > 0 && b.at.Sub(all[i-1].at) > interval+interval/4 {
						t.Fatalf("a Lease was not renewed for %s", b.at.Sub(all[i-1].at))
					}
				}
				for i, b := range all {
					alive := test.replicas[first].dies.IsZero() || b.at.Before(died)
					if test.writers == 1 && alive && b.by != first && b.at.After(start) {
						t.Fatalf("the replica %d, with the lag %.2f, wrote although %d, with %.2f, was before it", b.by, lags[b.by], first, lags[first])
					}
					if before := i - test.writers; before >= 0 && all[before].at.After(begun) && b.at.Sub(all[before].at) < interval*3/4 {
						t.Fatalf("a Lease was renewed %d times within %s", test.writers+1, b.at.Sub(all[before].at))
					}
					if b.at.Before(end) {
						perSecond[int(b.at.Sub(start)/time.Second)]++
					}
				}
			}
			const each = leases * 3 / int(duration/time.Second)
			for s := int(begun.Sub(start) / time.Second); s < seconds; s++ {
				if n := perSecond[s]; n < each*65/100 || n > test.writers*each*135/100 {
					t.Errorf("%d writes in the second %d after the start, want about %d", n, s, each)
				}
			}
		})
	}
}
