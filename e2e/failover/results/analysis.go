package results

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"qoqo.dev/active-standby-controller/e2e/quantile"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// Observation is what was seen of one workload in one run.
type Observation struct {
	Variant Variant
	// Cause is when the master failed or was told to move, and Old is its pod's name.
	Cause time.Time
	Old   string
	// Until is when the last request that counts was sent. The outcome of later ones
	// may be unknown.
	Until time.Time
	// New and Kept are the requests over new connections and over a kept-alive one,
	// in the order of sending.
	New, Kept []record.Request
	// When the steps of the failover were done, as in Steps; zero if that was not seen.
	Noticed, Decided, Published time.Time
	// Moves are the moves of the master since the cause, in order.
	Moves []Move
	// Transitions are those that the Lease counts. A transition within one pod, such as
	// to a new epoch, is no move.
	Transitions int
}

// Move is a move of the master.
type Move struct {
	At     time.Time // the acquireTime of the Lease
	To     string    // the new master's pod
	Reason string    // the Lease's, such as HolderNotReady
}

// Outcome is the analysis of one run.
type Outcome struct {
	Variant Variant
	Run
	Sent           int
	AfterDetection *float64
	OverlapMS      float64
	// KeptMS is nil if the kept-alive connection was not with the old master.
	KeptMS       *float64
	KeptToTheEnd bool
	Transitions  int
	Reasons      []string // of the moves, in order
}

// Analyse analyses a run. It returns an error if the outage has no beginning or no end:
// there is no good answer before the first lost request, or none after the last.
func Analyse(o Observation) (Outcome, error) {
	within := func(requests []record.Request) []record.Request {
		return slices.DeleteFunc(slices.Clone(requests), func(r record.Request) bool {
			return r.Sent.Before(o.Cause.Add(-Lead)) || r.Sent.After(o.Until)
		})
	}
	o.New, o.Kept = within(o.New), within(o.Kept)
	good := slices.DeleteFunc(slices.Clone(o.New), func(r record.Request) bool { return r.Error != "" })
	// In the order in which the client received them.
	slices.SortStableFunc(good, func(a, b record.Request) int { return a.Done.Compare(b.Done) })
	lost := record.Lost(o.New)
	from, to := outage(good, lost, o.Cause)
	if from.IsZero() || to.IsZero() {
		return Outcome{}, fmt.Errorf("there is no good answer before the first lost request, or none after the last")
	}
	out := Outcome{
		Variant:     o.Variant,
		Sent:        len(o.New),
		OverlapMS:   overlap(o, good),
		Transitions: o.Transitions,
		Run: Run{
			OutageMS: milliseconds(to.Sub(from)), Lost: len(lost), Lanes: lanes(o, good, lost),
			Outage: &Span{From: milliseconds(from.Sub(o.Cause)), To: milliseconds(to.Sub(o.Cause))},
		},
	}
	since := func(t time.Time) *float64 {
		if t.IsZero() {
			return nil
		}
		ms := milliseconds(t.Sub(o.Cause))
		return &ms
	}
	out.Steps = Steps{Noticed: since(o.Noticed), Decided: since(o.Decided), Published: since(o.Published)}
	if first := slices.IndexFunc(good, func(r record.Request) bool { return r.Pod != o.Old && r.Done.After(o.Cause) }); o.Variant.Routing != Plain && first >= 0 {
		out.Steps.Answered = since(good[first].Done)
		if out.Steps.Decided != nil {
			after := *out.Steps.Answered - *out.Steps.Decided
			out.AfterDetection = &after
		}
	}
	out.KeptMS, out.KeptToTheEnd = kept(o)
	for _, m := range o.Moves {
		out.Reasons = append(out.Reasons, m.Reason)
	}
	return out, nil
}

// outage returns the time of the last good answer before the first lost request, and
// that of the first good answer after the last lost request. If none was lost, it
// returns the two answers with the longest time between them that ended after the
// cause. A time is zero if there is no such answer.
func outage(good, lost []record.Request, cause time.Time) (from, to time.Time) {
	if len(lost) == 0 {
		for i := 1; i < len(good); i++ {
			a, b := good[i-1].Done, good[i].Done
			if b.After(cause) && b.Sub(a) > to.Sub(from) {
				from, to = a, b
			}
		}
		return from, to
	}
	first, last := lost[0].Sent, lost[len(lost)-1].Sent
	for _, r := range good {
		if r.Done.Before(first) {
			from = r.Done
		}
		if to.IsZero() && r.Sent.After(last) {
			to = r.Done
		}
	}
	return from, to
}

// overlap returns the longest time, in milliseconds, for which a pod answered requests
// that were sent after an answer of its successor had arrived. A master that comes
// back has another term. Its answers are no overlap with the master in between.
func overlap(o Observation, good []record.Request) float64 {
	if o.Variant.Routing == Plain {
		return 0 // all of its pods serve
	}
	longest := 0.0
	terms := o.terms(good)
	first := make([]time.Time, len(terms)) // the first answer of each term
	for _, r := range good {
		own := termOf(terms, r)
		if first[own].IsZero() {
			first[own] = r.Done
		}
		for _, successor := range first[own+1:] {
			if !successor.IsZero() && r.Sent.After(successor) {
				longest = max(longest, milliseconds(r.Sent.Sub(successor)))
			}
		}
	}
	return longest
}

// terms returns who was master, and from when, in order. A pod that answers without
// having been master has a term from its first answer.
func (o Observation) terms(good []record.Request) []Move {
	terms := append([]Move{{To: o.Old}}, o.Moves...)
	for _, r := range good {
		if termOf(terms, r) < 0 {
			terms = append(terms, Move{At: r.Done, To: r.Pod})
		}
	}
	slices.SortStableFunc(terms, func(a, b Move) int { return a.At.Compare(b.At) })
	return terms
}

// termOf returns the index of the answering pod's latest term that had begun when the
// answer arrived, or -1.
func termOf(terms []Move, r record.Request) int {
	for i, t := range slices.Backward(terms) {
		if t.To == r.Pod && !t.At.After(r.Done) {
			return i
		}
	}
	return -1
}

// kept returns for how many milliseconds after the cause the old master answered the
// kept-alive connection, even with an error, and whether it still did at the end.
func kept(o Observation) (ms *float64, toTheEnd bool) {
	var first, last record.Request
	var until time.Time
	for _, r := range o.Kept {
		switch {
		case r.Pod == "":
		case r.Done.Before(o.Cause):
			first = r
		default:
			last = r
			if r.Answer == first.Answer {
				until = r.Done
			}
		}
	}
	if first.Pod != o.Old {
		return nil, false
	}
	stayed := max(0, milliseconds(until.Sub(o.Cause)))
	return &stayed, last.Answer == first.Answer
}

const (
	// mergeGood is how far apart two answers of a pod may be in one Span. Each of the
	// three pods of the plain Service answers only every third request. mergeLost is
	// the same for lost requests.
	mergeGood, mergeLost = 300 * time.Millisecond, 50 * time.Millisecond
)

// Lead is the time before the cause in which requests count.
const Lead = time.Second

func lanes(o Observation, good, lost []record.Request) []Lane {
	names := map[string]string{o.Old: "old"}
	all := []Lane{{Pod: "old"}}
	byPod := map[string][]record.Request{}
	for _, r := range good {
		if _, known := names[r.Pod]; !known {
			names[r.Pod] = "new"
			if len(names) > 2 || o.Variant.Routing == Plain {
				names[r.Pod] = fmt.Sprintf("pod %d", len(names))
			}
			all = append(all, Lane{Pod: names[r.Pod]})
		}
		byPod[names[r.Pod]] = append(byPod[names[r.Pod]], r)
	}
	for i := range all {
		all[i].Spans = spans(o.Cause, byPod[all[i].Pod], mergeGood)
	}
	return append(all, Lane{Pod: "lost", Spans: spans(o.Cause, lost, mergeLost)})
}

func spans(cause time.Time, requests []record.Request, merge time.Duration) []Span {
	requests = slices.Clone(requests)
	slices.SortFunc(requests, func(a, b record.Request) int { return a.Sent.Compare(b.Sent) })
	var all []Span
	for _, r := range requests {
		at := milliseconds(r.Sent.Sub(cause))
		if len(all) > 0 && at-all[len(all)-1].To <= milliseconds(merge) {
			all[len(all)-1].To = at
			all[len(all)-1].Count++
			continue
		}
		all = append(all, Span{From: at, To: at, Count: 1})
	}
	return all
}

// Summarise sums up the runs of a variant in a scenario. There must be one or more.
func Summarise(scenario string, v Variant, outcomes []Outcome) Result {
	r := Result{Scenario: scenario, Variant: v, Runs: len(outcomes)}
	var outage, after, stayed []float64
	for _, o := range outcomes {
		outage = append(outage, o.OutageMS)
		if o.AfterDetection != nil {
			after = append(after, *o.AfterDetection)
		}
		if o.KeptMS != nil {
			stayed = append(stayed, *o.KeptMS)
		}
		if o.KeptToTheEnd {
			r.KeptToTheEnd++
		}
		r.Lost += o.Lost
		r.Sent += o.Sent
		r.Transitions += o.Transitions
		for _, reason := range o.Reasons {
			if r.Reasons == nil {
				r.Reasons = map[string]int{}
			}
			r.Reasons[reason]++
		}
		r.OverlapMSMax = max(r.OverlapMSMax, o.OverlapMS)
	}
	r.OutageMS = *quantiles(outage)
	r.AfterDetectionMS = quantiles(after)
	r.KeptMS = quantiles(stayed)
	byOutage := slices.SortedStableFunc(slices.Values(outcomes), func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(a.OutageMS, b.OutageMS), cmp.Compare(a.Lost, b.Lost))
	})
	r.Median, r.Worst = quantile.Of(byOutage, 0.5).Run, byOutage[len(byOutage)-1].Run
	return r
}

// quantiles returns values that were measured (nearest rank), none between two of them.
// Without values it returns nil.
func quantiles(values []float64) *Quantiles {
	if len(values) == 0 {
		return nil
	}
	values = slices.Sorted(slices.Values(values))
	return &Quantiles{P50: quantile.Of(values, 0.5), P90: quantile.Of(values, 0.9), Max: values[len(values)-1]}
}

// milliseconds rounds to whole milliseconds. More would mean nothing, because clients
// send a request only every 15 ms.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d) / float64(time.Millisecond)) }
