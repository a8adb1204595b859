package controller

import (
	"maps"
	"runtime"
	"sync"
	"time"

	kmetrics "k8s.io/component-base/metrics"
	// These register the metrics of client-go and of the queue: API requests by code,
	// their latency, the queue's depth and retries.
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	build "k8s.io/component-base/version"

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

	lock sync.Mutex
	// elections has what the last look at each election has seen.
	elections map[key]shown
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
		elections: map[key]shown{},
		moving:    map[key]moving{},
	}
}

// begin shows counters at 0. Prometheus does not count the step to 1 of a series that it has not seen before, and
// a replica may see one failover in its life.
func (m *metrics) begin() {
	for _, e := range election.Events() {
		if election.Reason(e.Reason).Moves() {
			m.transitions.WithLabelValues(e.Reason)
		}
	}
	for _, phase := range []string{phaseLease, phaseRouted, phasePublished} {
		m.duration.WithLabelValues(phase)
	}
}

// recorded counts a decision that this replica has written into the Lease. No traffic follows one that
// is only observed.
func (m *metrics) recorded(k key, d election.Decision, took time.Duration, observed bool) {
	if !d.Transition() {
		return
	}
	m.transitions.WithLabelValues(string(d.Reason)).Inc()
	m.duration.WithLabelValues(phaseLease).Observe(took.Seconds())
	if observed {
		return
	}
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

// show notes what was seen of the election.
func (m *metrics) show(k key, s shown) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.elections[k] = s; s.observed {
		delete(m.moving, k)
	}
}

func (m *metrics) forget(k key) {
	m.lock.Lock()
	defer m.lock.Unlock()
	delete(m.elections, k)
	delete(m.moving, k)
}

// all returns what was seen of each election.
func (m *metrics) all() map[key]shown {
	m.lock.Lock()
	defer m.lock.Unlock()
	return maps.Clone(m.elections)
}

// state has the metrics of how things stand. They are counted when they are asked for, not at
// each change.
type state struct {
	kmetrics.BaseStableCollector
	c                                                         *Controller
	elections, masterless, suspected, problem, delayed, build *kmetrics.Desc
	nodes                                                     *kmetrics.Desc
	each                                                      electionMetrics
}

func newState(c *Controller) *state {
	desc := func(name, help string, labels ...string) *kmetrics.Desc {
		return kmetrics.NewDesc(kmetrics.BuildFQName("", subsystem, name), help, labels, nil, kmetrics.ALPHA, "")
	}
	return &state{
		c:          c,
		elections:  desc("elections", "Elections that this replica looks after; every replica looks after all of them."),
		masterless: desc("elections_without_master", "Elections whose master is not eligible, or that have none, because no pod is eligible. Those that are only observed do not count."),
		suspected:  desc("suspected_pods", "Pods that have stopped answering this replica's probes."),
		delayed:    desc("probes_delayed_total", "Probes of this replica that had to wait, because their namespace asked for too many."),
		nodes:      desc("probed_nodes", "Nodes with candidates that this replica asks, by what they answer.", "state"),
		problem:    desc("services_with_problem", "Services that have a problem now, by the reason of its Warning event.", "reason"),
		build:      desc("build_info", "1, with the version of the controller and of Go.", "version", "go_version"),
		each:       newElectionMetrics(c.ElectionMetrics, desc),
	}
}

// DescribeWithStability implements kmetrics.StableCollector.
func (s *state) DescribeWithStability(to chan<- *kmetrics.Desc) {
	for _, d := range append(s.each.descs(), s.elections, s.masterless, s.suspected, s.delayed, s.nodes, s.problem, s.build) {
		to <- d
	}
}

// CollectWithStability implements kmetrics.StableCollector.
func (s *state) CollectWithStability(to chan<- kmetrics.Metric) {
	gauge := func(d *kmetrics.Desc, n int, labels ...string) {
		to <- kmetrics.NewLazyConstMetric(d, kmetrics.GaugeValue, float64(n), labels...)
	}
	elections, masterless := s.c.metrics.all(), 0
	for _, e := range elections {
		if !e.served && !e.observed {
			masterless++
		}
	}
	s.each.collect(elections, s.c.warnings.reported, to)
	gauge(s.build, 1, build.Get().GitVersion, runtime.Version())
	gauge(s.elections, len(elections))
	gauge(s.masterless, masterless)
	gauge(s.suspected, s.c.prober.Suspected())
	to <- kmetrics.NewLazyConstMetric(s.delayed, kmetrics.CounterValue, float64(s.c.prober.Delayed()))
	if s.c.nodeProbes != nil {
		nodes := s.c.nodeProbes.Count()
		gauge(s.nodes, nodes.Answering, "answering")
		gauge(s.nodes, nodes.Silent, "silent")
		gauge(s.nodes, nodes.Unanswered, "unanswered")
	}
	for reason, n := range s.c.warnings.count() {
		gauge(s.problem, n, reason)
	}
}

// Metrics returns the metrics of what this replica has done. The program registers them before
// Run: a metric that is not registered counts nothing.
func (c *Controller) Metrics() []kmetrics.Registerable {
	return []kmetrics.Registerable{c.metrics.transitions, c.metrics.duration}
}

// State returns the metrics of how things stand, which the program registers too.
func (c *Controller) State() kmetrics.StableCollector { return newState(c) }
