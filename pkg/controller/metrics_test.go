package controller

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	kmetrics "k8s.io/component-base/metrics"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// startMeasured is start, and gives the text of the controller's metrics. They
// are registered before, because a metric that is not registered counts nothing.
func (c *cluster) startMeasured() (s *started, text func() string) {
	c.Helper()
	registry := kmetrics.NewKubeRegistry()
	s = c.prepare()
	registry.MustRegister(s.Metrics()...)
	registry.CustomMustRegister(s.State())
	c.run(s)
	handler := kmetrics.HandlerFor(registry, kmetrics.HandlerOpts{ErrorHandling: kmetrics.PanicOnError})
	return s, func() string {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequestWithContext(c.Context(), "GET", "/metrics", nil))
		// Which bucket is the client library's to choose. When Kubernetes' controller follows depends on
		// which of two elections that begin at once is the first to read their Services.
		text := regexp.MustCompile(`(?m)^.*(_bucket|build_info).*\n`).ReplaceAllString(response.Body.String(), "")
		return regexp.MustCompile(`(_sum\{phase="published"\}) 0\.[1-9].*`).ReplaceAllString(text, "$1 some")
	}
}

func TestMetrics(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		_, text := c.startMeasured()
		c.Settle()
		// Kubernetes hears of one change after the other. Two elections at once would get in the
		// way of each other.
		c.Create(fakeapi.NewService("db", fakeapi.WithSelector("app", "db")))
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		c.SwitchTo("web", "web-1")
		c.Settle()
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		c.SwitchTo("web", "web-0")
		c.Settle()
		// A restore is no transition.
		c.DeleteLease("web")
		c.Settle()

		want := `# HELP active_standby_election_acquire_time_seconds [ALPHA] Since when that pod is master, in seconds since 1970.
# TYPE active_standby_election_acquire_time_seconds gauge
active_standby_election_acquire_time_seconds{lease="web",namespace="default"} 9.46684864085e+08
# HELP active_standby_election_eligible_standbys [ALPHA] Pods that could become master at once.
# TYPE active_standby_election_eligible_standbys gauge
active_standby_election_eligible_standbys{lease="db",namespace="default"} 0
active_standby_election_eligible_standbys{lease="web",namespace="default"} 1
# HELP active_standby_election_epoch [ALPHA] The epoch, which grows with each change of holder.
# TYPE active_standby_election_epoch gauge
active_standby_election_epoch{lease="db",namespace="default"} 0
active_standby_election_epoch{lease="web",namespace="default"} 5
# HELP active_standby_election_master_info [ALPHA] 1, with the name of the pod that the Lease names.
# TYPE active_standby_election_master_info gauge
active_standby_election_master_info{lease="web",master="web-0",namespace="default"} 1
# HELP active_standby_election_observed [ALPHA] 1 if the election is only observed, so that no traffic follows it (qoqo.dev/service-mode: observe); otherwise 0.
# TYPE active_standby_election_observed gauge
active_standby_election_observed{lease="db",namespace="default"} 0
active_standby_election_observed{lease="web",namespace="default"} 0
# HELP active_standby_election_ok [ALPHA] 1 if the election's master is eligible, and none of its Services has a problem that was reported; otherwise 0.
# TYPE active_standby_election_ok gauge
active_standby_election_ok{lease="db",namespace="default"} 0
active_standby_election_ok{lease="web",namespace="default"} 1
# HELP active_standby_elections [ALPHA] Elections that this replica looks after; every replica looks after all of them.
# TYPE active_standby_elections gauge
active_standby_elections 2
# HELP active_standby_elections_without_master [ALPHA] Elections whose master is not eligible, or that have none, because no pod is eligible. Those that are only observed do not count.
# TYPE active_standby_elections_without_master gauge
active_standby_elections_without_master 1
# HELP active_standby_probes_delayed_total [ALPHA] Probes of this replica that had to wait, because their namespace asked for too many.
# TYPE active_standby_probes_delayed_total counter
active_standby_probes_delayed_total 0
# HELP active_standby_services_with_problem [ALPHA] Services that have a problem now, by the reason of its Warning event.
# TYPE active_standby_services_with_problem gauge
active_standby_services_with_problem{reason="NotPublished"} 0
active_standby_services_with_problem{reason="WriteRefused"} 0
# HELP active_standby_suspected_pods [ALPHA] Pods that have stopped answering this replica's probes.
# TYPE active_standby_suspected_pods gauge
active_standby_suspected_pods 0
# HELP active_standby_transition_duration_seconds [ALPHA] Time from the decision on a change of holder until the Lease is written (phase=lease), until all is written with which traffic follows (phase=routed), and until the EndpointSlices are seen to list the holder alone (phase=published).
# TYPE active_standby_transition_duration_seconds histogram
active_standby_transition_duration_seconds_sum{phase="lease"} 0.03
active_standby_transition_duration_seconds_count{phase="lease"} 3
active_standby_transition_duration_seconds_sum{phase="published"} some
active_standby_transition_duration_seconds_count{phase="published"} 3
active_standby_transition_duration_seconds_sum{phase="routed"} 0.07
active_standby_transition_duration_seconds_count{phase="routed"} 3
# HELP active_standby_transitions_total [ALPHA] Changes of holder that this replica has written, by the election's reason.
# TYPE active_standby_transitions_total counter
active_standby_transitions_total{reason="AddressMissing"} 0
active_standby_transitions_total{reason="FirstEligible"} 1
active_standby_transitions_total{reason="HigherPriority"} 0
active_standby_transitions_total{reason="HolderEdited"} 1
active_standby_transitions_total{reason="HolderExcluded"} 0
active_standby_transitions_total{reason="HolderFinished"} 0
active_standby_transitions_total{reason="HolderGone"} 0
active_standby_transitions_total{reason="HolderInactive"} 0
active_standby_transitions_total{reason="HolderNotReady"} 1
active_standby_transitions_total{reason="HolderRefused"} 0
active_standby_transitions_total{reason="HolderTerminating"} 0
active_standby_transitions_total{reason="HolderUnresponsive"} 0
active_standby_transitions_total{reason="HolderUnselected"} 0
active_standby_transitions_total{reason="NodeGone"} 0
active_standby_transitions_total{reason="NodeSilent"} 0
active_standby_transitions_total{reason="NodeUnschedulable"} 0
active_standby_transitions_total{reason="PortMissing"} 0
active_standby_transitions_total{reason="PreferredEligible"} 0
`
		if diff := cmp.Diff(want, text()); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

func TestMetricsOfAnElectionThatEnds(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", fakeapi.SetNotReady))
		_, text := c.startMeasured()
		c.Settle()
		expect := func(lines ...string) {
			t.Helper()
			for _, line := range lines {
				if !strings.Contains(text(), line+"\n") {
					t.Errorf("metrics without %q:\n%s", line, text())
				}
			}
		}
		expect("active_standby_elections 1", "active_standby_elections_without_master 1")
		c.EditPod("web-0", fakeapi.SetReady)
		c.Settle()
		expect("active_standby_elections 1", "active_standby_elections_without_master 0")
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		expect("active_standby_elections 1", "active_standby_elections_without_master 1")
		c.EditService("web", fakeapi.OptOut)
		c.Settle()
		expect("active_standby_elections 0", "active_standby_elections_without_master 0")
	})
}

// An election that is observed is not one without a master, and no traffic follows its moves.
func TestMetricsOfAnElectionThatIsObserved(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeObserve)), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		_, text := c.startMeasured()
		c.Settle()
		// Two moves, one right after the other.
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Second)
		c.EditPod("web-0", fakeapi.SetReady)
		c.EditPod("web-1", fakeapi.SetNotReady)
		c.Wait(time.Second)
		if got, want := text(), `active_standby_election_epoch{lease="web",namespace="default"} 3`; !strings.Contains(got, want+"\n") {
			t.Errorf("metrics without %q:\n%s", want, got)
		}
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		got := text()
		for _, line := range []string{
			"active_standby_elections 1", "active_standby_elections_without_master 0",
			`active_standby_election_observed{lease="web",namespace="default"} 1`, `active_standby_election_epoch{lease="web",namespace="default"} 3`,
			`active_standby_election_ok{lease="web",namespace="default"} 0`,
			`active_standby_transition_duration_seconds_count{phase="lease"} 3`,
			`active_standby_transition_duration_seconds_count{phase="routed"} 0`, `active_standby_transition_duration_seconds_count{phase="published"} 0`,
		} {
			if !strings.Contains(got, line+"\n") {
				t.Errorf("metrics without %q:\n%s", line, got)
			}
		}
	})
}

// A Service that observes has no say in whether the election of others is as it should be.
func TestMetricsBesideAServiceThatObserves(t *testing.T) {
	inCluster(t, func(c *cluster) {
		observes := fakeapi.WithAnnotation(api.AnnotationServiceMode, api.ModeObserve)
		external := func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }
		c.Create(
			fakeapi.NewService("web"), fakeapi.NewService("other", observes, external, fakeapi.WithAnnotation(api.AnnotationLeaseName, "web")),
			fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		_, text := c.startMeasured()
		c.Wait(10 * time.Minute)
		got := text()
		for _, line := range []string{
			`active_standby_services_with_problem{reason="UnsupportedService"} 1`,
			`active_standby_election_ok{lease="web",namespace="default"} 1`, `active_standby_election_observed{lease="web",namespace="default"} 0`,
		} {
			if !strings.Contains(got, line+"\n") {
				t.Errorf("metrics without %q:\n%s", line, got)
			}
		}
	})
}

// A problem of a Service shows in its election, until it ends.
func TestMetricsOfAProblem(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		_, text := c.startMeasured()
		for _, value := range []string{"never", "soon", "never"} {
			c.EditService("web", fakeapi.WithAnnotation(api.AnnotationFailback, value))
			c.Settle()
			want := "active_standby_election_ok{lease=\"web\",namespace=\"default\"} 1\n"
			if value == "soon" {
				want = strings.Replace(want, "} 1", "} 0", 1)
			}
			if got := text(); !strings.Contains(got, want) {
				t.Errorf("with failback %q, metrics without %q:\n%s", value, want, got)
			}
		}
	})
}

// Of more elections than the limit, those in trouble are not left out.
func TestElectionMetricsAreBounded(t *testing.T) {
	elections := map[key]shown{}
	for _, name := range []string{"a", "b", "c", "d"} {
		elections[key{Namespace: "shop", Name: name}] = shown{served: name != "c", services: []types.UID{types.UID(name)}}
	}
	desc := func(name, help string, labels ...string) *kmetrics.Desc {
		return kmetrics.NewDesc(name, help, labels, nil, kmetrics.ALPHA, "")
	}
	for limit, want := range map[int][]string{0: nil, 1: {"c"}, 3: {"a", "c", "d"}, 9: {"a", "b", "c", "d"}} {
		collector := &electionCollector{of: newElectionMetrics(limit, desc), elections: elections}
		registry := kmetrics.NewKubeRegistry()
		registry.CustomMustRegister(collector)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "election_ok" {
					got = append(got, m.GetLabel()[0].GetValue())
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

// electionCollector has a problem with the Service d.
type electionCollector struct {
	kmetrics.BaseStableCollector
	of        electionMetrics
	elections map[key]shown
}

func (c *electionCollector) DescribeWithStability(to chan<- *kmetrics.Desc) {
	for _, d := range c.of.descs() {
		to <- d
	}
}

func (c *electionCollector) CollectWithStability(to chan<- kmetrics.Metric) {
	c.of.collect(c.elections, func(services []types.UID) bool { return slices.Contains(services, "d") }, to)
}

// The transitions of several replicas add up to those that there were.
func TestMetricsOfTwoReplicas(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		_, first := c.startMeasured()
		_, second := c.startMeasured()
		c.Settle()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Settle()
		const line = "active_standby_transitions_total{reason=\"HolderNotReady\"} 1\n"
		if n := strings.Count(first()+second(), line); n != 1 {
			t.Errorf("%d replicas count the transition, want 1", n)
		}
	})
}

// An edit that the API server does not let the controller follow takes no master away.
func TestMetricsOfAnEditThatCannotBeFollowed(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		_, text := c.startMeasured()
		c.Settle()
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("update", "leases") {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "web", errors.New("denied by a policy"))
			}
			return nil
		})
		c.SwitchTo("web", "web-1")
		c.Wait(time.Minute)
		for _, line := range []string{
			`active_standby_election_master_info{lease="web",master="web-0",namespace="default"} 1`,
			`active_standby_election_eligible_standbys{lease="web",namespace="default"} 1`,
			"active_standby_elections_without_master 0",
		} {
			if got := text(); !strings.Contains(got, line+"\n") {
				t.Errorf("metrics without %q:\n%s", line, got)
			}
		}
	})
}
