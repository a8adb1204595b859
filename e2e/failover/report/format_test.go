package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

func TestDuration(t *testing.T) {
	for ms, want := range map[float64]string{
		0: "0 ms", 85: "85 ms", -12: "-12 ms", 999: "999 ms", 999.6: "1.00 s", 1000: "1.00 s", 1205.9: "1.21 s", 45230: "45.23 s",
	} {
		if got := duration(ms); got != want {
			t.Errorf("%v: %s, want %s", ms, got, want)
		}
	}
}

func TestPerRun(t *testing.T) {
	for total, want := range map[int]string{0: "0", 4: "0.4", 20: "2", 99: "9.9", 100: "10", 104: "10", 226: "23"} {
		if got := perRun(total, 10); got != want {
			t.Errorf("%d in 10 runs: %s, want %s", total, got, want)
		}
	}
}

func TestKept(t *testing.T) {
	stayed := &results.Quantiles{P50: 1210}
	tests := map[string]struct {
		result results.Result
		want   string
	}{
		"it was never with the old master": {result: results.Result{Runs: 3}, want: "–"},
		"it always ended":                  {result: results.Result{Runs: 3, KeptMS: stayed}, want: "1.21 s"},
		"it sometimes stayed":              {result: results.Result{Runs: 3, KeptMS: stayed, KeptToTheEnd: 1}, want: "1.21 s (1 of 3 to the end)"},
		"it always stayed":                 {result: results.Result{Runs: 3, KeptMS: stayed, KeptToTheEnd: 3}, want: "to the end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := kept(test.result); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	outage := &results.Span{From: -100, To: 2000}
	lane := func(pod string, spans ...results.Span) []results.Lane {
		return []results.Lane{{Pod: pod, Spans: spans}}
	}
	tests := map[string]struct {
		run      results.Run
		from, to float64
	}{
		"until a second after the outage": {run: results.Run{Outage: outage}, from: -0.6, to: 3},
		"or after the last step":          {run: results.Run{Outage: outage, Steps: results.Steps{Answered: ptr.To(2500.0)}}, from: -0.6, to: 3.5},
		"or after another pod answers":    {run: results.Run{Outage: outage, Lanes: lane("new", results.Span{From: 3000, To: 9000})}, from: -0.6, to: 4},
		"or after the last loss":          {run: results.Run{Outage: outage, Lanes: lane("lost", results.Span{From: 3000, To: 4000})}, from: -0.6, to: 5},
		"but the outage fills a third":    {run: results.Run{Outage: outage, Lanes: lane("old", results.Span{From: 60000, To: 70000})}, from: -0.6, to: 7},
		"or a second without one":         {run: results.Run{Lanes: lane("old", results.Span{From: 60000, To: 70000})}, from: -0.5, to: 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			from, to := window([]results.Result{{}, {Median: test.run}})
			if from != test.from || to != test.to {
				t.Errorf("from %v to %v, want %v to %v", from, to, test.from, test.to)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	var got []string
	for _, tick := range ticks(-0.5, 2.3) {
		got = append(got, tick.Label)
	}
	if diff := cmp.Diff([]string{"0", "0.2", "0.4", "0.6", "0.8", "1", "1.2", "1.4", "1.6", "1.8", "2", "2.2"}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(plot.Tick{Value: 45, Label: "45"}, ticks(-0.5, 48)[9]); diff != "" {
		t.Errorf("the tenth of 48 s (-want +got):\n%s", diff)
	}
}
