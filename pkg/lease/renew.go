package lease

import (
	"time"
)

// perDuration is how many renewals there are in the time for which a Lease is valid. A
// holder that believes in its Lease for two thirds of that time may miss one.
const perDuration = 3

// Renewal is when a Lease is renewed. Each Lease has its own moment in every interval,
// so that the writes of many Leases are spread evenly.
type Renewal struct {
	// Duration is for how long the Lease is valid after a renewal.
	Duration time.Duration
	// Phase, from 0 to 1, is the Lease's moment in the interval. It is the same in every replica.
	Phase float64
	// Lag, from 0 to 1, is by how much of a quarter of an interval this replica lets
	// the others go first.
	Lag float64
}

// Due reports whether a Lease that was renewed then must be renewed now, and after how
// long to ask again. A time far in the future, of another replica's clock, counts as
// none: that replica may be gone, and the Lease's holder must not wait for it.
func (r Renewal) Due(renewed, now time.Time) (due bool, again time.Duration) {
	interval := r.Duration / perDuration
	offset := time.Duration(r.Phase*float64(interval)) + time.Duration(r.Lag*float64(interval)/4)
	// The moment from which another replica's renewal counts for this interval is the
	// Lease's phase; this replica's own moment comes later by its lag.
	own := now.Add(-offset).Truncate(interval).Add(offset)
	begin := own.Add(-time.Duration(r.Lag * float64(interval) / 4))
	return renewed.Before(begin) || renewed.After(now.Add(interval/4)), own.Add(interval).Sub(now)
}
