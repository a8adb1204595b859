package controller

import (
	"sync"
	"time"

	kmetrics "k8s.io/component-base/metrics"
	// These register the metrics of client-go and of the queue: API requests by code,
	// their latency, the queue's depth and retries.
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"

	"qoqo.dev/active-standby-controller/pkg/election"
)

const subsystem = "active_standby"

// Phases of a transition. The time of each starts at the decision.
const (
	phaseLease     = "lease"
	phaseRouted    = "routed"
	phasePublished = "published"
)

type metrics struct {
	transitions *kmetrics.CounterVec
	duration    *kmetrics.HistogramVec
	elections   *kmetrics.Gauge
	masterless  *kmetrics.Gauge
	suspected   *kmetrics.Gauge
	problems    *kmetrics.GaugeVec

	lock sync.Mutex
	// served reports for each election whether it has a master that is eligible.
	served map[key]bool
	// moving holds the transitions that this replica has written into Leases, until traffic
	// is seen to follow. Any replica may do the routing, at any try.
	moving map[key]moving
}

// moving is a transition that traffic has yet to follow.
type moving struct {
	decided time.Time
	routed  bool
}

func newMetrics() *metrics {
	return &metrics{
		transitions: kmetrics.NewCounterVec(&kmetrics.CounterOpts{
			Subsystem: subsystem, Name: "transitions_total",
			Help: "Changes of holder that this replica has written, by the election's reason.",
		}, []string{"reason"}),
		duration: kmetrics.NewHistogramVec(&kmetrics.HistogramOpts{
			Subsystem: subsystem, Name: "transition_duration_seconds",
			Help:    "Time from the decision on a change of holder until the Lease is written (phase=lease), until all is written with which traffic follows (phase=routed), and until the EndpointSlices are seen to list the holder alone (phase=published).",
			Buckets: kmetrics.ExponentialBuckets(0.001, 2, 14),
		}, []string{"phase"}),
		elections: kmetrics.NewGauge(&kmetrics.GaugeOpts{
			Subsystem: subsystem, Name: "elections",
			Help: "Elections that this replica looks after; every replica looks after all of them.",
		}),
		masterless: kmetrics.NewGauge(&kmetrics.GaugeOpts{
			Subsystem: subsystem, Name: "elections_without_master",
			Help: "Elections whose master is not eligible, or that have none, because no pod is eligible.",
		}),
		suspected: kmetrics.NewGauge(&kmetrics.GaugeOpts{
			Subsystem: subsystem, Name: "suspected_pods",
			Help: "Pods that have stopped answering this replica's probes.",
		}),
		problems: kmetrics.NewGaugeVec(&kmetrics.GaugeOpts{
			Subsystem: subsystem, Name: "services_with_problem",
			Help: "Services that have a problem now, by the reason of its Warning event.",
		}, []string{"reason"}),
		served: map[key]bool{},
		moving: map[key]moving{},
	}
}

// Metrics returns the metrics of this replica. The program registers them before Run: a
// metric that is not registered counts nothing.
func (c *Controller) Metrics() []kmetrics.Registerable {
	return []kmetrics.Registerable{c.metrics.transitions, c.metrics.duration, c.metrics.elections, c.metrics.masterless, c.metrics.suspected, c.metrics.problems}
}

// recorded counts a decision that this replica has written into the Lease.
func (m *metrics) recorded(k key, d election.Decision, took time.Duration) {
	if !d.Transition() {
		return
	}
	m.transitions.WithLabelValues(string(d.Reason)).Inc()
	m.duration.WithLabelValues(phaseLease).Observe(took.Seconds())
	m.lock.Lock()
	defer m.lock.Unlock()
	m.moving[k] = moving{decided: time.Now().Add(-took)}
}

// routed notes that the election's traffic goes to the holder. If this replica had
// recorded the transition, it returns the time that has passed since the decision.
func (m *metrics) routed(k key) (took time.Duration, transition bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	move, transition := m.moving[k]
	if !transition || move.routed {
		return 0, false
	}
	move.routed = true
	m.moving[k] = move
	took = time.Since(move.decided)
	m.duration.WithLabelValues(phaseRouted).Observe(took.Seconds())
	return took, true
}

// published notes that the election's EndpointSlices are as they should be.
func (m *metrics) published(k key) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if move, transition := m.moving[k]; transition {
		delete(m.moving, k)
		m.duration.WithLabelValues(phasePublished).Observe(time.Since(move.decided).Seconds())
	}
}

// problem counts the Services with problems, under the lock like suspect.
func (m *metrics) problem(count func() map[string]int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.problems.Reset()
	for reason, n := range count() {
		m.problems.WithLabelValues(reason).Set(float64(n))
	}
}

func (m *metrics) election(k key, served bool) {
	m.update(func() { m.served[k] = served })
}

func (m *metrics) forget(k key) {
	m.update(func() {
		delete(m.served, k)
		delete(m.moving, k)
	})
}

// suspect counts the suspected pods under the lock, so that of two concurrent calls the
// later one sets the newer count.
func (m *metrics) suspect(count func() int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.suspected.Set(float64(count()))
}

func (m *metrics) update(change func()) {
	m.lock.Lock()
	defer m.lock.Unlock()
	change()
	masterless := 0
	for _, served := range m.served {
		if !served {
			masterless++
		}
	}
	m.elections.Set(float64(len(m.served)))
	m.masterless.Set(float64(masterless))
}
