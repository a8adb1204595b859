package lease

import (
	"time"
)

// perDuration is how many renewals there are in the time for which a Lease is valid. A holder
// that relies on its Lease for two thirds of that time can miss one.
const perDuration = 3

// Renewal says when a Lease is renewed. Each Lease has its own moment in every interval, which
// spreads the writes of many Leases evenly.
type Renewal struct {
	// Duration is for how long the Lease is valid after a renewal.
	Duration time.Duration
	// Phase, from 0 to 1, is the Lease's moment in the interval. It is the same in every replica.
	Phase float64
	// Lag, from 0 to 1, is the part of a quarter of an interval by which this replica lets
	// others renew the Lease first.
	Lag float64
}

// Due reports whether a Lease that was last renewed at the time renewed must be renewed now, and
// after how long to ask again. A time far in the future counts for nothing: it comes from the
// clock of another replica, which may be gone, and the holder must not wait until that time.
func (r Renewal) Due(renewed, now time.Time) (due bool, again time.Duration) {
	interval := r.Duration / perDuration
	offset := time.Duration(r.Phase*float64(interval)) + time.Duration(r.Lag*float64(interval)/4)
	// Another replica's renewal counts for this interval from the Lease's phase on. This
	// replica's own moment comes later, by its lag.
	own := now.Add(-offset).Truncate(interval).Add(offset)
	begin := own.Add(-time.Duration(r.Lag * float64(interval) / 4))
	return renewed.Before(begin) || renewed.After(now.Add(interval/4)), own.Add(interval).Sub(now)
}
