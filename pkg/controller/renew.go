package controller

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// renewal says whether the Lease is to be renewed now, and after how long to look again,
// if it is renewed at all: while the holder is eligible.
func (c *Controller) renewal(o *observation.Observation, d election.Decision, now time.Time) (due bool, again time.Duration) {
	duration := o.Settings().LeaseDuration
	if duration == 0 || !d.Served() {
		return false, 0
	}
	return election.Heartbeat{
		Duration: duration,
		Phase:    phase(o.Key),
		Lag:      fraction(maphash.String(c.seed, o.Key.String())),
	}.Due(renewed(o), now)
}

// phase is the same in every replica. Names often differ in their last letter alone,
// which a simpler hash, such as FNV, does not spread.
func phase(k key) float64 {
	sum := sha256.Sum256([]byte(k.String()))
	return fraction(binary.BigEndian.Uint64(sum[:]))
}

func fraction(hash uint64) float64 { return float64(hash) / math.MaxUint64 }

// soonest is the earlier of two times to look again; 0 is never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
