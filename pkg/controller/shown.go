package controller

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	kmetrics "k8s.io/component-base/metrics"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// DefaultElectionMetrics is of how many elections there are metrics: about 1,000 bytes of an answer
// for each.
const DefaultElectionMetrics = 1000

// shown is what the metrics show for one election, as the last look has seen it.
type shown struct {
	master string
	epoch  int32
	// acquired is zero if there is no Lease.
	acquired time.Time
	standbys int
	// served: the master is eligible.
	served bool
	// observed: nothing follows from the Lease.
	observed bool
	// services are those that have a say in the election.
	services []types.UID
}

func shownOf(o *observation.Observation, d election.Decision) shown {
	record, holder := lease.Decode(o.Lease), o.View().Lease.HolderUID
	s := shown{master: o.MasterName(), epoch: record.Epoch, acquired: record.Acquired, observed: o.Observed()}
	if d.Action != election.Refuse {
		for _, v := range election.Explain(o.View()) {
			switch {
			case v.Why != "":
			case v.UID == holder:
				s.served = true
			default:
				s.standbys++
			}
		}
	}
	for _, service := range o.Services {
		if s.observed || api.Routed(service) {
			s.services = append(s.services, service.UID)
		}
	}
	return s
}

// electionMetrics are those of each election. If there are more elections than limit, those that
// are not as they should be come first.
type electionMetrics struct {
	limit                                           int
	ok, master, acquired, epoch, standbys, observed *kmetrics.Desc
}

func newElectionMetrics(limit int, desc func(name, help string, labels ...string) *kmetrics.Desc) electionMetrics {
	of := func(name, help string, more ...string) *kmetrics.Desc {
		return desc("election_"+name, help, append([]string{"namespace", "lease"}, more...)...)
	}
	return electionMetrics{
		limit:    limit,
		ok:       of("ok", "1 if the election's master is eligible, and none of its Services has a problem that was reported; otherwise 0."),
		master:   of("master_info", "1, with the name of the pod that the Lease names.", "master"),
		acquired: of("acquire_time_seconds", "Since when that pod is master, in seconds since 1970."),
		epoch:    of("epoch", "The epoch, which grows with each change of holder."),
		observed: of("observed", "1 if the election is only observed, so that no traffic follows it (qoqo.dev/service-mode: observe); otherwise 0."),
		standbys: of("eligible_standbys", "Pods that could become master at once."),
	}
}

func (e electionMetrics) descs() []*kmetrics.Desc {
	return []*kmetrics.Desc{e.ok, e.master, e.acquired, e.epoch, e.standbys, e.observed}
}

// collect sends the metrics of the elections. troubled reports whether one of the Services has a
// problem that was reported.
func (e electionMetrics) collect(elections map[key]shown, troubled func(services []types.UID) bool, to chan<- kmetrics.Metric) {
	type one struct {
		key
		shown
		ok bool
	}
	var all []one
	for k, s := range elections {
		all = append(all, one{k, s, s.served && !troubled(s.services)})
	}
	slices.SortFunc(all, func(a, b one) int {
		if a.ok != b.ok {
			return number(a.ok) - number(b.ok)
		}
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range all[:min(len(all), e.limit)] {
		gauge := func(d *kmetrics.Desc, value float64, more ...string) {
			to <- kmetrics.NewLazyConstMetric(d, kmetrics.GaugeValue, value, append([]string{s.Namespace, s.Name}, more...)...)
		}
		gauge(e.ok, float64(number(s.ok)))
		gauge(e.standbys, float64(s.standbys))
		gauge(e.epoch, float64(s.epoch))
		gauge(e.observed, float64(number(s.observed)))
		if s.master != "" {
			gauge(e.master, 1, s.master)
		}
		if !s.acquired.IsZero() {
			gauge(e.acquired, float64(s.acquired.UnixMicro())/1e6)
		}
	}
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}
