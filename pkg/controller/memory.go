package controller

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// memory is what this replica has seen of elections, by its own clock, so that no two clocks are
// compared. Each replica, and each start, begins anew. How long an election waits for a holder
// depends on it, when the master moves back to a preferred pod, and when a contender counts as
// gone; nothing else.
type memory struct {
	lock sync.Mutex
	// outages are since when holders have not been eligible.
	outages map[key]observation.Outage
	// contenders are the programs that hold Leases as their own.
	contenders map[key]lease.Sighting
	// seen is, of elections that fail back, since when holders have been masters and pods Ready.
	seen map[key]observation.Seen
}

func newMemory() *memory {
	return &memory{outages: map[key]observation.Outage{}, contenders: map[key]lease.Sighting{}, seen: map[key]observation.Seen{}}
}

// recall puts what is known of the election into the inputs of a look at it; the zero values if
// that is nothing.
func (m *memory) recall(in *observation.Inputs) {
	m.lock.Lock()
	defer m.lock.Unlock()
	in.Outage, in.Seen, in.Contender = m.outages[in.Key], m.seen[in.Key], m.contenders[in.Key]
}

// saw takes up what a look at the election has shown, and whether the holder is eligible by
// what was decided.
func (m *memory) saw(o *observation.Observation, d election.Decision) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if seen := o.See(); seen.Ready != nil {
		m.seen[o.Key] = seen
	} else {
		delete(m.seen, o.Key)
	}
	if contender := o.SeeContender(); contender != (lease.Sighting{}) {
		m.contenders[o.Key] = contender
	} else {
		delete(m.contenders, o.Key)
	}
	switch {
	case d.Transition():
		// Once the decision is written, the outage is of another holder, and no longer applies.
	case d.Ineligible == "":
		delete(m.outages, o.Key)
	case o.View().DownSince.IsZero():
		m.outages[o.Key] = observation.Outage{Holder: d.HolderUID, Renewed: lease.Renewed(o.Lease), Since: o.Now}
	}
}

// has reports whether an outage of the Lease's holder is known.
func (m *memory) has(k key) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	_, found := m.outages[k]
	return found
}

func (m *memory) forget(k key) {
	m.lock.Lock()
	defer m.lock.Unlock()
	delete(m.outages, k)
	delete(m.seen, k)
	delete(m.contenders, k)
}

const (
	// refusedFor is how long a refusal is remembered. While it stands, the label is tried
	// again at least every refusedRetryMax.
	refusedFor = 2*refusedRetryMax + time.Minute
	// refusedMax is how many refusals are remembered. Forgetting one costs a move to a pod
	// that cannot be labelled, and another from it.
	refusedMax = 4096
)

// refusals remembers pods that this replica was not allowed to label. Nothing but which pod
// is elected depends on it.
type refusals struct {
	now  func() time.Time
	lock sync.Mutex
	at   map[types.UID]time.Time
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, at: map[types.UID]time.Time{}}
}

// saw takes up what came of a write to the pod.
func (m *refusals) saw(pod types.UID, err error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	switch {
	case err == nil:
		delete(m.at, pod)
	case refused(err) && len(m.at) < refusedMax:
		m.at[pod] = m.now()
	}
}

// known returns the pods that were refused lately.
func (m *refusals) known() sets.Set[types.UID] {
	m.lock.Lock()
	defer m.lock.Unlock()
	maps.DeleteFunc(m.at, func(_ types.UID, at time.Time) bool { return m.now().Sub(at) >= refusedFor })
	return sets.KeySet(m.at)
}

// refused reports whether the API server refuses what was written, and not because another
// writer was first, or because it has too much to do. Webhooks choose the code by themselves.
func refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusGone, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code < http.StatusInternalServerError
	}
}

// onlyRefused reports whether all that has failed was refused, so that it will be again until
// something changes. An object of the same name that lasts is another's, because the controller
// would have found its own.
func onlyRefused(err error) bool {
	switch e := err.(type) { //nolint:errorlint // It goes through what is wrapped by itself.
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(one error) bool { return !onlyRefused(one) })
	case interface{ Unwrap() error }:
		return onlyRefused(e.Unwrap())
	}
	return (refused(err) || apierrors.IsAlreadyExists(err)) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}
