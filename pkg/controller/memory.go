package controller

import (
	"sync"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// outages remembers since when holders have not been eligible. That is timed where the
// controller runs, so that no clocks are compared; each replica and each start counts
// for itself. Nothing but how long a holder is waited for depends on it.
type outages struct {
	lock sync.Mutex
	of   map[key]observation.Outage
}

func newOutages() *outages { return &outages{of: map[key]observation.Outage{}} }

// recall returns the zero value if the holder of that Lease is not known to be out.
func (m *outages) recall(k key) observation.Outage {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.of[k]
}

// saw remembers what was decided of the holder that is kept.
func (m *outages) saw(o *observation.Observation, d election.Decision) {
	m.lock.Lock()
	defer m.lock.Unlock()
	switch {
	case d.Transition():
		// It has yet to be written; then what is remembered is of another holder.
	case d.Ineligible == "":
		delete(m.of, o.Key)
	case o.View().DownSince.IsZero():
		m.of[o.Key] = observation.Outage{Holder: d.HolderUID, Renewed: lease.Renewed(o.Lease), Since: o.Now}
	}
}

// has reports whether the holder of that Lease is known to be out.
func (m *outages) has(k key) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	_, found := m.of[k]
	return found
}

func (m *outages) forget(k key) {
	m.lock.Lock()
	defer m.lock.Unlock()
	delete(m.of, k)
}
