package main

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// annotationHolderUID tells the holder from an earlier pod of the same name.
const annotationHolderUID = "qoqo.dev/holder-uid"

// member is a pod that may become the master. It knows the answers of the API server and
// its own monotonic clock, and never compares two clocks.
type member struct {
	pod, uid string

	lock sync.Mutex
	// lease is the latest answer, nil if there is no Lease. asked is when the question was
	// asked: the answer may lack what was written since.
	lease *coordinationv1.Lease
	asked time.Time
	// renewed is a time at which the latest renewal had not been made yet. It is zero if
	// the pod has seen no renewal, for example because it has just started and found an
	// old Lease.
	renewed time.Time
}

// Epoch reports whether this pod may act as the master at that time, and in which epoch.
// It may do so for two thirds of the Lease's duration after a renewal. The last third is
// left for its writes to arrive. A Lease without a duration never expires.
func (m *member) Epoch(now time.Time) (epoch int32, master bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	l := m.lease
	if l == nil || l.Spec.LeaseTransitions == nil || l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity != m.pod || l.Annotations[annotationHolderUID] != m.uid {
		return 0, false
	}
	if third, expires := thirdOf(l); expires && now.Sub(m.renewed) >= 2*third {
		return 0, false
	}
	return *l.Spec.LeaseTransitions, true
}

// answered records an answer, and when the question was asked.
//
// A renewal does not count from the time at which it is seen: this process may have been
// frozen, or its network may have held the news back, and the Lease may have expired
// since. It counts from the question before, whose answer did not have the renewal.
func (m *member) answered(lease *coordinationv1.Lease, asked time.Time) {
	m.lock.Lock()
	defer m.lock.Unlock()
	switch {
	case lease == nil || m.lease == nil:
		m.renewed = time.Time{}
	case !lease.Spec.RenewTime.Equal(m.lease.Spec.RenewTime):
		m.renewed = m.asked
	}
	m.lease, m.asked = lease, asked
}

// third returns a third of the Lease's duration, and whether it has one. The controller
// renews the Lease each time a third has passed.
func (m *member) third() (d time.Duration, expires bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return thirdOf(m.lease)
}

func thirdOf(l *coordinationv1.Lease) (d time.Duration, expires bool) {
	if l == nil || l.Spec.LeaseDurationSeconds == nil {
		return 0, false
	}
	return time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second / 3, true
}
