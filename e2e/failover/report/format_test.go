package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

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
		"a connection that was not with the old master has no time": {result: results.Result{Runs: 3}, want: "–"},
		"a connection that always ended has a time":                 {result: results.Result{Runs: 3, KeptMS: stayed}, want: "1.21 s"},
		"a connection that sometimes stayed has a time and a count": {result: results.Result{Runs: 3, KeptMS: stayed, KeptToTheEnd: 1}, want: "1.21 s (1 of 3 to the end)"},
		"a connection that always stayed has no time":               {result: results.Result{Runs: 3, KeptMS: stayed, KeptToTheEnd: 3}, want: "to the end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := kept(test.result); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestWhen(t *testing.T) {
	result := func(routing, date, version string) results.Result {
		return results.Result{Variant: results.Variant{Routing: routing}, Date: date, Controller: version}
	}
	for _, test := range []struct {
		want string
		all  []results.Result
	}{
		{
			"Measured on 2026-11-25, version v1.",
			[]results.Result{result("a", "2026-11-25", "v1"), result("b", "2026-11-25", "v1")},
		},
		{
			"Measured on 2026-11-25, version v1: `a`, `c`; on 2026-11-26, version v1: `b`; on 2026-11-26, version v2: `d`.",
			[]results.Result{result("a", "2026-11-25", "v1"), result("b", "2026-11-26", "v1"), result("c", "2026-11-25", "v1"), result("d", "2026-11-26", "v2")},
		},
	} {
		if got := when(test.all); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// If the head were wider than the picture, its last words would be cut off.
func TestHeadFits(t *testing.T) {
	long := ptr.To(50_000.0)
	for _, v := range results.Variants {
		r := results.Result{Variant: v, Median: results.Run{
			OutageMS: 50_000, Outage: &results.Span{}, Steps: results.Steps{Noticed: long, Decided: long, Published: long, Answered: long},
			Lanes: []results.Lane{{Pod: lost}}, Lost: 1500,
		}}
		b := band{result: r}
		available := document.Width - 2*document.Around - document.Style(document.Small, xfont.WeightNormal).Width(b.labels()[1].Label)
		if got := b.headWidth(); got > available {
			t.Errorf("the head of %s is %.0f points wide, but has only %.0f", v, got, available)
		}
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
		"the window ends a second after the outage":            {run: results.Run{Outage: outage}, from: -0.6, to: 3},
		"the window ends a second after the last step":         {run: results.Run{Outage: outage, Steps: results.Steps{Answered: ptr.To(2500.0)}}, from: -0.6, to: 3.5},
		"the window ends a second after another pod answers":   {run: results.Run{Outage: outage, Lanes: lane("new", results.Span{From: 3000, To: 9000})}, from: -0.6, to: 4},
		"the window ends a second after the last loss":         {run: results.Run{Outage: outage, Lanes: lane("lost", results.Span{From: 3000, To: 4000})}, from: -0.6, to: 5},
		"the outage fills a third of the time since the cause": {run: results.Run{Outage: outage, Lanes: lane("old", results.Span{From: 60000, To: 70000})}, from: -0.6, to: 7},
		"a second stands for an outage if there is none":       {run: results.Run{Lanes: lane("old", results.Span{From: 60000, To: 70000})}, from: -0.5, to: 4},
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

func TestMoved(t *testing.T) {
	for want, r := range map[string]results.Result{
		"0":                           {},
		"10":                          {Transitions: 10},
		"1: 1 `PodDeleted`":           {Transitions: 1, Reasons: map[string]int{"PodDeleted": 1}},
		"5: 3 `Failover`, 2 `NotNow`": {Transitions: 5, Reasons: map[string]int{"NotNow": 2, "Failover": 3}},
	} {
		if got := moved(r); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
