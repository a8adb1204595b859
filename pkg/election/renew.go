package election

import "time"

// heartbeats is how many there are in the time that a Lease is valid for. A holder
// that believes in it for two thirds of that may miss one.
const heartbeats = 3

// Heartbeat is when a Lease is renewed. Each Lease has its own moment in every
// interval, so that the writes of many of them are spread evenly.
type Heartbeat struct {
	// Duration is for how long the Lease is valid.
	Duration time.Duration
	// Phase, from 0 to 1, is the Lease's moment in the interval.
	Phase float64
	// Lag, from 0 to 1, is by how much of a quarter of an interval this replica lets
	// the others go first.
	Lag float64
}

// Due says whether the Lease, which was renewed then, is to be renewed now, and after
// how long to ask again. A time far in the future, of another replica's clock,
// counts as none: that replica may be gone, and the Lease's holder must not wait for it.
func (h Heartbeat) Due(renewed, now time.Time) (due bool, again time.Duration) {
	interval := h.Duration / heartbeats
	offset := time.Duration(h.Phase*float64(interval)) + time.Duration(h.Lag*float64(interval)/4)
	// The moment up to which another replica's renewal counts for this interval begins
	// with the Lease's phase; this replica's own comes with its lag.
	own := now.Add(-offset).Truncate(interval).Add(offset)
	begin := own.Add(-time.Duration(h.Lag * float64(interval) / 4))
	return renewed.Before(begin) || renewed.After(now.Add(interval/4)), own.Add(interval).Sub(now)
}
