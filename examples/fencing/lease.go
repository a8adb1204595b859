package main

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// annotationHolderUID tells the holder from an earlier pod of its name.
const annotationHolderUID = "qoqo.dev/holder-uid"

// member is a pod that may become master. It goes by what the API server answers
// and by its own monotonic clock, so that no two clocks are compared.
type member struct {
	pod, uid string

	lock sync.Mutex
	// lease is the latest answer, nil if there is no Lease; and asked is when it was
	// asked for. What was written since then may not be in it.
	lease *coordinationv1.Lease
	asked time.Time
	// renewed is a time at which the latest renewal had not been made yet; zero if
	// none was seen, as by a pod that has just started and finds an old Lease.
	renewed time.Time
}

// Epoch says whether this pod may act as master at that time, and in which epoch.
// It may for two thirds of the Lease's duration after a renewal. The last third is
// for what it does meanwhile to arrive. A Lease without a duration never expires.
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

// answered takes note of an answer, and of when the question was asked.
//
// A renewal does not count from when it is seen: this process may have been frozen,
// or its network may have held the news back, and the Lease may have expired since.
// It counts from the question before, the answer to which did not have it.
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

// third is a third of the Lease's duration. The controller renews it that often.
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
