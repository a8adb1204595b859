package controller

import (
	"sync"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// outages remembers since when holders have not been eligible. This replica's clock times
// them, so that no two clocks are compared; each replica, and each start, counts anew.
// Nothing but how long the election waits for a holder depends on it.
type outages struct {
	lock sync.Mutex
	of   map[key]observation.Outage
}

func newOutages() *outages { return &outages{of: map[key]observation.Outage{}} }

// recall returns the outage of the Lease's holder, the zero value if none is known.
func (m *outages) recall(k key) observation.Outage {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.of[k]
}

// saw takes up whether the holder is eligible, by what was decided.
func (m *outages) saw(o *observation.Observation, d election.Decision) {
	m.lock.Lock()
	defer m.lock.Unlock()
	switch {
	case d.Transition():
		// Once the decision is written, the outage is of another holder, and no longer applies.
	case d.Ineligible == "":
		delete(m.of, o.Key)
	case o.View().DownSince.IsZero():
		m.of[o.Key] = observation.Outage{Holder: d.HolderUID, Renewed: lease.Renewed(o.Lease), Since: o.Now}
	}
}

// has reports whether an outage of the Lease's holder is known.
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
