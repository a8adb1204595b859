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
		"a Lease that was never renewed is due":                        {renewed: never, now: 3, due: true, again: 3},
		"so is one of the interval before":                             {renewed: -1, now: 3, due: true, again: 3},
		"one of this interval is not, until the next begins":           {renewed: 1, now: 3, again: 3},
		"when that begins it is due":                                   {renewed: 1, now: 6, due: true, again: 6},
		"an interval ends a moment before the next":                    {renewed: 1, now: 5.5, again: 0.5},
		"what was renewed at its beginning is of this interval":        {renewed: 0, now: 3, again: 3},
		"what was renewed now is":                                      {renewed: 3, now: 3, again: 3},
		"each Lease has intervals of its own":                          {phase: 0.5, renewed: 1, now: 2.5, again: 0.5},
		"which begin when others are half over":                        {phase: 0.5, renewed: 1, now: 3, due: true, again: 6},
		"and go on past the next one's beginning":                      {phase: 0.5, renewed: 4, now: 7, again: 2},
		"a replica that is second waits for the first":                 {lag: 1, renewed: -5, now: 1, again: 0.5},
		"and renews if that has not":                                   {lag: 1, renewed: -5, now: 1.5, due: true, again: 6},
		"and not if that has":                                          {lag: 1, renewed: 0.1, now: 1.5, again: 6},
		"also at the interval's very beginning":                        {lag: 1, renewed: 0, now: 1.5, again: 6},
		"its next moment is a whole interval later":                    {lag: 1, renewed: 1.5, now: 1.6, again: 5.9},
		"the lag follows the Lease's own moment":                       {phase: 0.5, lag: 0.5, renewed: 1, now: 3.5, again: 0.25},
		"and then it is due":                                           {phase: 0.5, lag: 0.5, renewed: 1, now: 3.75, due: true, again: 6},
		"a lag may pass into the next interval":                        {phase: 0.9, lag: 1, renewed: -1.5, now: 0.5, again: 0.4},
		"where it is due":                                              {phase: 0.9, lag: 1, renewed: -1.5, now: 0.9, due: true, again: 6},
		"what was renewed by a clock that is ahead counts for nothing": {renewed: 3600, now: 3, due: true, again: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := Renewal{Duration: 18 * time.Second, Phase: test.phase, Lag: test.lag}
			due, again := h.Due(at(test.renewed), at(test.now))
			if want := at(test.again).Sub(start); due != test.due || (again-want).Abs() > time.Microsecond {
				t.Errorf("due: %v, again after %s; want %v, again after %s", due, again, test.due, want)
			}
		})
	}
	if due, _ := (Renewal{Duration: 18 * time.Second}).Due(time.Time{}, start); !due {
		t.Error("a Lease without a time of renewal is not due")
	}
}

// beating is a replica of the controller that renews Leases.
type beating struct {
	// ahead is by how much its clock is.
	ahead time.Duration
	// dies is when it does, zero for never.
	dies time.Time
}

// beat is a write to a Lease.
type beat struct {
	at time.Time
	by int
}

// beats are the renewals of a Lease by replicas with these lags. Each looks at it only
// when it said that it would, and sees then what others have written.
func beats(h Renewal, lags []float64, replicas []beating, until time.Time) (all []beat) {
	renewed := time.Time{}
	next := make([]time.Time, len(replicas))
	for i := range next {
		next[i] = start
	}
	for {
		first := -1
		for i, r := range replicas {
			alive := r.dies.IsZero() || next[i].Before(r.dies)
			if alive && (first < 0 || next[i].Before(next[first])) {
				first = i
			}
		}
		at := next[first]
		if at.After(until) {
			return all
		}
		h.Lag = lags[first]
		clock := at.Add(replicas[first].ahead)
		due, again := h.Due(renewed, clock)
		if due {
			renewed = clock
			all = append(all, beat{at, first})
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
	// All Leases are due at the start; this is when that has passed.
	begun := start.Add(2 * interval)
	died := start.Add(61 * time.Second)
	tests := map[string]struct {
		replicas []beating
		// writers is how many of them may renew a Lease in the same interval.
		writers int
	}{
		"one replica":                        {[]beating{{}}, 1},
		"two replicas":                       {[]beating{{}, {}}, 1},
		"three replicas":                     {[]beating{{}, {}, {}}, 1},
		"two, of which one dies":             {[]beating{{dies: died}, {}}, 1},
		"two, of which one's clock is ahead": {[]beating{{ahead: time.Hour + 1234*time.Millisecond}, {}}, 2},
		"two, of which one's clock is ahead until that one dies": {[]beating{{ahead: time.Hour + 1234*time.Millisecond, dies: died}, {}}, 2},
		"two, of which one's clock is behind":                    {[]beating{{ahead: -time.Hour - 4321*time.Millisecond}, {}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			perSecond := make([]int, seconds)
			for range leases {
				h := Renewal{Duration: duration, Phase: random.Float64()}
				lags, first := make([]float64, len(test.replicas)), 0
				for i := range lags {
					if lags[i] = random.Float64(); lags[i] < lags[first] {
						first = i
					}
				}
				all := beats(h, lags, test.replicas, end)
				for i, b := range append(all, beat{end, first}) {
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
