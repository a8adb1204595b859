package results

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

var cause = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms float64) time.Time {
	return cause.Add(time.Duration(ms * float64(time.Millisecond)))
}

// stretch returns requests that are sent every 10 ms from one time until before
// another. Each is answered by the pod 4 ms later or, if pod is empty, lost.
func stretch(from, to float64, pod string) (requests []record.Request) {
	for ms := from; ms < to; ms += 10 {
		r := record.Request{Sent: at(ms), Done: at(ms + 4), Answer: record.Answer{Pod: pod}}
		if pod == "" {
			r.Error = "no answer"
		}
		requests = append(requests, r)
	}
	return requests
}

// badly turns the requests into ones whose answer is that the pod cannot serve.
func badly(requests []record.Request) []record.Request {
	for i := range requests {
		requests[i].Error = "status 503"
	}
	return requests
}

func ms(value float64) *float64 { return &value }

func TestAnalyse(t *testing.T) {
	for name, test := range map[string]struct {
		observation Observation
		want        Outcome
	}{
		"the outage is from the last answer of a master that fails to its successor's first": {
			Observation{
				Variant: Variant{Routing: Selector}, Cause: cause, Old: "web-0", Transitions: 1,
				New:     slices.Concat(stretch(-100, 0, "web-0"), stretch(0, 500, ""), stretch(500, 1000, "web-1")),
				Kept:    slices.Concat(stretch(-100, 700, "web-0"), stretch(700, 1000, "web-1")),
				Noticed: at(200), Decided: at(210), Published: at(230),
			},
			Outcome{
				Variant: Variant{Routing: Selector}, Sent: 110, AfterDetection: ms(294), KeptMS: ms(694), Transitions: 1,
				Run: Run{
					OutageMS: 510, Lost: 50, Outage: &Span{From: -6, To: 504},
					Steps: Steps{Noticed: ms(200), Decided: ms(210), Published: ms(230), Answered: ms(504)},
					Lanes: []Lane{
						{"old", []Span{{-100, -10, 10}}}, {"new", []Span{{500, 990, 50}}}, {"lost", []Span{{0, 490, 50}}},
					},
				},
			},
		},
		"a kept-alive connection may stay with the old master to the end, past a third master": {
			Observation{
				Variant: Variant{Routing: Label}, Cause: cause, Old: "web-0", Transitions: 2,
				New:  slices.Concat(stretch(-10, 50, "web-0"), stretch(50, 100, "web-1"), stretch(100, 150, "web-2")),
				Kept: stretch(-10, 150, "web-0"),
			},
			Outcome{
				Variant: Variant{Routing: Label}, Sent: 16, KeptMS: ms(144), KeptToTheEnd: true, Transitions: 2,
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4}, Steps: Steps{Answered: ms(54)},
					Lanes: []Lane{
						{"old", []Span{{-10, 40, 6}}}, {"new", []Span{{50, 90, 5}}}, {"pod 3", []Span{{100, 140, 5}}}, {"lost", nil},
					},
				},
			},
		},
		"an old master that answers what was sent after the new master's first answer overlaps": {
			Observation{
				Variant: Variant{Routing: Label}, Cause: cause, Old: "web-0",
				New: slices.Concat(stretch(-10, 100, "web-0"), stretch(50, 150, "web-1"), stretch(150, 160, "web-0"), stretch(160, 200, "web-1")),
			},
			Outcome{
				Variant: Variant{Routing: Label}, Sent: 26, OverlapMS: 96,
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4}, Steps: Steps{Answered: ms(54)},
					Lanes: []Lane{{"old", []Span{{-10, 150, 12}}}, {"new", []Span{{50, 190, 14}}}, {"lost", nil}},
				},
			},
		},
		"an old master that answers what was sent before the new master's first answer does not overlap": {
			Observation{
				Variant: Variant{Routing: Selector}, Cause: cause, Old: "web-0",
				New: []record.Request{
					{Sent: at(-10), Done: at(-5), Answer: record.Answer{Pod: "web-0"}},
					{Sent: at(10), Done: at(15), Answer: record.Answer{Pod: "web-1"}},
					{Sent: at(14), Done: at(30), Answer: record.Answer{Pod: "web-0"}},
				},
			},
			Outcome{
				Variant: Variant{Routing: Selector}, Sent: 3,
				Run: Run{
					OutageMS: 20, Outage: &Span{From: -5, To: 15}, Steps: Steps{Answered: ms(15)},
					Lanes: []Lane{{"old", []Span{{-10, 14, 2}}}, {"new", []Span{{10, 10, 1}}}, {"lost", nil}},
				},
			},
		},
		"a master that comes back does not overlap with the one in between": {
			Observation{
				Variant: Variant{Routing: Selector}, Cause: cause, Old: "web-0", Transitions: 2,
				Moves:   []Move{{at(40), "web-1", "HolderNotReady"}, {at(90), "web-0", "HolderNotReady"}},
				New:     slices.Concat(stretch(-10, 50, "web-0"), stretch(50, 100, "web-1"), stretch(100, 150, "web-0")),
				Decided: at(40),
			},
			Outcome{
				Variant: Variant{Routing: Selector}, Sent: 16, AfterDetection: ms(14), Transitions: 2, Reasons: []string{"HolderNotReady", "HolderNotReady"},
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4}, Steps: Steps{Decided: ms(40), Answered: ms(54)},
					Lanes: []Lane{{"old", []Span{{-10, 140, 11}}}, {"new", []Span{{50, 90, 5}}}, {"lost", nil}},
				},
			},
		},
		"the master in between overlaps with a master that came back": {
			Observation{
				Variant: Variant{Routing: Selector}, Cause: cause, Old: "web-0",
				Moves: []Move{{at(40), "web-1", "HolderNotReady"}, {at(90), "web-0", "HolderNotReady"}},
				New:   slices.Concat(stretch(-10, 50, "web-0"), stretch(50, 100, "web-1"), stretch(100, 110, "web-0"), stretch(110, 130, "web-1"), stretch(130, 150, "web-0")),
			},
			Outcome{
				Variant: Variant{Routing: Selector}, Sent: 16, OverlapMS: 16, Reasons: []string{"HolderNotReady", "HolderNotReady"},
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4}, Steps: Steps{Answered: ms(54)},
					Lanes: []Lane{{"old", []Span{{-10, 140, 9}}}, {"new", []Span{{50, 120, 7}}}, {"lost", nil}},
				},
			},
		},
		"the old master overlaps with a master that came back and was replaced once more": {
			Observation{
				Variant: Variant{Routing: Selector}, Cause: cause, Old: "web-0",
				Moves: []Move{{at(40), "web-1", "HolderNotReady"}, {at(90), "web-0", "HolderNotReady"}, {at(140), "web-1", "HolderNotReady"}},
				New:   slices.Concat(stretch(-10, 50, "web-0"), stretch(50, 100, "web-1"), stretch(100, 150, "web-0"), stretch(150, 160, "web-1"), stretch(160, 180, "web-0")),
			},
			Outcome{
				Variant: Variant{Routing: Selector}, Sent: 19, OverlapMS: 16, Reasons: []string{"HolderNotReady", "HolderNotReady", "HolderNotReady"},
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4}, Steps: Steps{Answered: ms(54)},
					Lanes: []Lane{{"old", []Span{{-10, 170, 13}}}, {"new", []Span{{50, 150, 6}}}, {"lost", nil}},
				},
			},
		},
		"the outage of a plain Service lasts while any requests are lost": {
			Observation{
				Variant: Variant{Routing: Plain}, Cause: cause, Old: "web-0",
				New: slices.Concat(stretch(-10, 0, "web-1"), stretch(0, 10, "web-0"), stretch(10, 20, ""), stretch(20, 30, "web-1"),
					stretch(30, 40, ""), stretch(40, 50, "web-2")),
				Kept: stretch(-10, 50, "web-1"),
			},
			Outcome{
				Variant: Variant{Routing: Plain}, Sent: 6,
				Run: Run{
					OutageMS: 40, Lost: 2, Outage: &Span{From: 4, To: 44},
					Lanes: []Lane{
						{"old", []Span{{0, 0, 1}}}, {"pod 2", []Span{{-10, 20, 2}}}, {"pod 3", []Span{{40, 40, 1}}}, {"lost", []Span{{10, 30, 2}}},
					},
				},
			},
		},
		"the outage is the longest time between two answers if nothing is lost": {
			Observation{Variant: Variant{Routing: Plain}, Cause: cause, Old: "web-0", New: slices.Concat(stretch(-100, -50, "web-1"), stretch(-10, 20, "web-1"), stretch(40, 50, "web-1"))},
			Outcome{
				Variant: Variant{Routing: Plain}, Sent: 9,
				Run: Run{
					OutageMS: 30, Outage: &Span{From: 14, To: 44},
					Lanes: []Lane{{"old", nil}, {"pod 2", []Span{{-100, 40, 9}}}, {"lost", nil}},
				},
			},
		},
		"requests long before the cause, or after the end, do not count": {
			Observation{
				Variant: Variant{Routing: Plain}, Cause: cause, Old: "web-0", Until: at(20),
				New: slices.Concat(stretch(-2000, -1990, ""), stretch(-10, 30, "web-1"), stretch(30, 40, "")),
			},
			Outcome{
				Variant: Variant{Routing: Plain}, Sent: 4,
				Run: Run{
					OutageMS: 10, Outage: &Span{From: -6, To: 4},
					Lanes: []Lane{{"old", nil}, {"pod 2", []Span{{-10, 20, 4}}}, {"lost", nil}},
				},
			},
		},
		"losses with good answers between them are one outage of a master": {
			Observation{
				Variant: Variant{Routing: Label}, Cause: cause, Old: "web-0",
				New: slices.Concat(stretch(-10, 10, "web-0"), stretch(10, 20, ""), stretch(20, 30, "web-1"), stretch(30, 40, ""), stretch(40, 50, "web-1")),
			},
			Outcome{
				Variant: Variant{Routing: Label}, Sent: 6,
				Run: Run{
					OutageMS: 40, Lost: 2, Outage: &Span{From: 4, To: 44}, Steps: Steps{Answered: ms(24)},
					Lanes: []Lane{{"old", []Span{{-10, 0, 2}}}, {"new", []Span{{20, 40, 2}}}, {"lost", []Span{{10, 30, 2}}}},
				},
			},
		},
		"a kept-alive connection stays while the old master answers with errors": {
			Observation{
				Variant: Variant{Routing: Label}, Cause: cause, Old: "web-0", New: stretch(-10, 20, "web-0"),
				Kept: slices.Concat(stretch(-10, 0, "web-0"), badly(stretch(0, 10, "web-0")), stretch(10, 20, "web-1")),
			},
			Outcome{
				Variant: Variant{Routing: Label}, Sent: 3, KeptMS: ms(4),
				Run: Run{OutageMS: 10, Outage: &Span{From: -6, To: 4}, Lanes: []Lane{{"old", []Span{{-10, 10, 3}}}, {"lost", nil}}},
			},
		},
		"a kept-alive connection that is no longer answered has not stayed": {
			Observation{
				Variant: Variant{Routing: Label}, Cause: cause, Old: "web-0", New: stretch(-10, 20, "web-0"),
				Kept: slices.Concat(stretch(-10, 0, "web-0"), stretch(0, 20, "")),
			},
			Outcome{
				Variant: Variant{Routing: Label}, Sent: 3, KeptMS: ms(0),
				Run: Run{OutageMS: 10, Outage: &Span{From: -6, To: 4}, Lanes: []Lane{{"old", []Span{{-10, 10, 3}}}, {"lost", nil}}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.observation.Until.IsZero() {
				test.observation.Until = at(10_000)
			}
			got, err := Analyse(test.observation)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

func TestAnalyseNeedsAnswers(t *testing.T) {
	for name, requests := range map[string][]record.Request{
		"no request is answered":                               stretch(-10, 10, ""),
		"no request is answered before the first lost request": slices.Concat(stretch(0, 10, ""), stretch(10, 20, "web-1")),
		"no request is answered after the last lost request":   slices.Concat(stretch(-20, -10, "web-0"), stretch(0, 10, "")),
		"no second answer follows the cause":                   stretch(-10, 0, "web-0"),
	} {
		if got, err := Analyse(Observation{Variant: Variant{Routing: Selector}, Cause: cause, Until: at(1000), Old: "web-0", New: requests}); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestSummarise(t *testing.T) {
	outcome := func(outage float64, lost int, kept *float64) Outcome {
		return Outcome{
			Run: Run{OutageMS: outage, Lost: lost}, Sent: 100, AfterDetection: ms(outage / 2), OverlapMS: float64(lost),
			KeptMS: kept, KeptToTheEnd: kept != nil && *kept == 9, Transitions: 1, Reasons: []string{"HolderNotReady"},
		}
	}
	got := Summarise("killed", Variant{Routing: Label}, []Outcome{outcome(40, 4, ms(9)), outcome(10, 1, nil), outcome(20, 3, ms(7)), outcome(20, 2, ms(9))})
	want := Result{
		Scenario: "killed", Variant: Variant{Routing: Label}, Runs: 4,
		OutageMS: Quantiles{P50: 20, P90: 40, Max: 40}, AfterDetectionMS: &Quantiles{P50: 10, P90: 20, Max: 20},
		Lost: 10, Sent: 400, OverlapMSMax: 4, Transitions: 4, Reasons: map[string]int{"HolderNotReady": 4},
		KeptMS: &Quantiles{P50: 9, P90: 9, Max: 9}, KeptToTheEnd: 2,
		Median: Run{OutageMS: 20, Lost: 2}, Worst: Run{OutageMS: 40, Lost: 4},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}
