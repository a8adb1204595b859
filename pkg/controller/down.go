package controller

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// downs remembers since when holders have not been eligible. That is timed where the
// controller runs, so that no clocks are compared; each replica and each start counts
// for itself.
type downs struct {
	lock  sync.Mutex
	since map[key]down
}

// down is a holder that is not eligible, and since when that was seen.
type down struct {
	holder types.UID
	// renewed is the Lease's renewTime. Who renews the Lease has seen the holder
	// healthy, so that the time begins anew.
	renewed time.Time
	since   time.Time
}

func newDowns() *downs { return &downs{since: map[key]down{}} }

// recall adds to the observation since when its holder has been down, if so.
func (d *downs) recall(o *observation.Observation) {
	d.lock.Lock()
	defer d.lock.Unlock()
	o.DownSince = time.Time{}
	if seen, found := d.since[o.Key]; found && o.Lease != nil && seen.holder == o.LeaseView().HolderUID && seen.renewed.Equal(renewed(o)) {
		o.DownSince = seen.since
	}
}

// saw remembers what was decided at that time, of the holder that is kept.
func (d *downs) saw(o *observation.Observation, decision election.Decision, now time.Time) {
	d.lock.Lock()
	defer d.lock.Unlock()
	switch {
	case decision.Transition():
		// It is yet to be written; then what is remembered is of another holder.
	case decision.Ineligible == "":
		delete(d.since, o.Key)
	case o.DownSince.IsZero():
		d.since[o.Key] = down{decision.HolderUID, renewed(o), now}
	}
}

// has says whether the holder of that Lease is down.
func (d *downs) has(k key) bool {
	d.lock.Lock()
	defer d.lock.Unlock()
	_, found := d.since[k]
	return found
}

func (d *downs) forget(k key) {
	d.lock.Lock()
	defer d.lock.Unlock()
	delete(d.since, k)
}

// renewed is when the Lease was renewed; zero if there is none or it never was.
func renewed(o *observation.Observation) time.Time {
	if o.Lease == nil {
		return time.Time{}
	}
	return ptr.Deref(o.Lease.Spec.RenewTime, metav1.MicroTime{}).Time
}
