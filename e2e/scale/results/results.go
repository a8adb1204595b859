// Package results has the types of docs/scale/results.json, which holds what was measured
// of many elections, and what is computed from them. It is pure.
package results

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/quantile"
)

// File is the whole of results.json.
type File struct {
	Header     Header      `json:"header"`
	Results    []Result    `json:"results"`
	Neighbours []Neighbour `json:"neighbours"`
}

// Header describes the control plane on which the results were measured.
type Header struct {
	Kubernetes string `json:"kubernetes"` // the version of the API server
	CPUs       int    `json:"cpus"`       // shared by the control plane, the replicas and the instrument
	Replicas   int    `json:"replicas"`
	Candidates int    `json:"candidates"` // of each election
}

// Load is how many elections there are, in how many namespaces, and on how many nodes
// their pods are.
type Load struct{ Elections, Namespaces, Nodes int }

// Defaults of a load of which only the elections are given.
const (
	electionsOfANamespace = 10
	nodes                 = 10
)

// ParseLoad reads a load as String writes it. Namespaces and nodes may be left out.
func ParseLoad(text string) (l Load, err error) {
	l.Nodes = nodes
	fields := []*int{&l.Elections, &l.Namespaces, &l.Nodes}
	parts := strings.Split(text, "/")
	if len(parts) > len(fields) {
		return l, fmt.Errorf("load %q: must be ELECTIONS, ELECTIONS/NAMESPACES or ELECTIONS/NAMESPACES/NODES", text)
	}
	for i, part := range parts {
		if *fields[i], err = strconv.Atoi(part); err != nil || *fields[i] < 1 {
			return l, fmt.Errorf("load %q: %q must be a number from 1", text, part)
		}
	}
	if l.Namespaces == 0 {
		l.Namespaces = (l.Elections + electionsOfANamespace - 1) / electionsOfANamespace
	}
	if l.Namespaces > l.Elections {
		return l, fmt.Errorf("load %q: there are more namespaces than elections", text)
	}
	return l, nil
}

// String returns elections/namespaces/nodes.
func (l Load) String() string { return fmt.Sprintf("%d/%d/%d", l.Elections, l.Namespaces, l.Nodes) }

// MarshalText returns String.
func (l Load) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (l *Load) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLoad(string(text))
	return err
}

// The parts of a measurement, in order. Each failover's name ends in the number of
// masters that fail at once.
const (
	OptIn    = "opt-in"
	Rest     = "rest"
	Restart  = "restart"
	failover = "failover-"
)

// Failover is the part in which that many masters fail at once.
func Failover(masters int) string { return failover + strconv.Itoa(masters) }

// Failed returns how many masters fail at once in a part, or 0.
func Failed(part string) int {
	after, found := strings.CutPrefix(part, failover)
	n, err := strconv.Atoi(after)
	if !found || err != nil {
		return 0
	}
	return n
}

// place orders parts.
func place(part string) int {
	if n := Failed(part); n > 0 {
		return n
	}
	return slices.Index([]string{OptIn, Rest, Restart}, part) - 3
}

// The routings that are measured.
const (
	Selector      = "selector"
	EndpointSlice = "endpointslice"
)

// Routings are all of them.
var Routings = []string{Selector, EndpointSlice}

// Result is what was measured of one part with one load and one routing.
type Result struct {
	Load    Load   `json:"load"`
	Routing string `json:"routing"`
	Part    string `json:"part"`
	// Date is when it was measured, such as 2026-11-25, and Controller the version of
	// the controller.
	Date       string `json:"date"`
	Controller string `json:"controller"`
	Runs       []Run  `json:"runs"`
}

// Run is what was measured in one run. What is zero does not apply to the part.
type Run struct {
	// Lease and Slice are the times from the cause of each election (its Service is
	// created, or its master fails) until the Lease names the new master, and until the
	// EndpointSlices list it alone.
	Lease *Quantiles `json:"lease_ms,omitempty"`
	Slice *Quantiles `json:"slice_ms,omitempty"`
	// LastMS is the time from the last cause until the last election was served.
	LastMS float64 `json:"last_ms,omitempty"`
	// StartMS is how long a replica took to start.
	StartMS float64 `json:"start_ms,omitempty"`
	// Unserved counts the elections that were not served before the instrument gave up.
	Unserved int `json:"unserved,omitempty"`
	// PeakMB is the larger peak of the replicas' resident memory. CPUSeconds is the larger
	// of the times for which they were on a CPU.
	PeakMB     float64 `json:"peak_mb"`
	CPUSeconds float64 `json:"cpu_s"`
	// Watches and Goroutines are of a replica, at the end.
	Watches    int `json:"watches"`
	Goroutines int `json:"goroutines"`
	// Requests are the requests of all replicas that ended, by verb and resource, without watches.
	Requests map[string]int `json:"requests"`
}

// Quantiles are those of the elections, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Of returns the quantiles of values, nil if there are none.
func Of(values []float64) *Quantiles {
	if len(values) == 0 {
		return nil
	}
	values = slices.Sorted(slices.Values(values))
	return &Quantiles{P50: quantile.Of(values, 0.5), P99: quantile.Of(values, 0.99), Max: values[len(values)-1]}
}

// Neighbour is what was measured of a victim alone and beside one attack.
type Neighbour struct {
	Attack     string `json:"attack"`
	Date       string `json:"date"`
	Controller string `json:"controller"`
	Alone      Victim `json:"alone"`
	Beside     Victim `json:"beside"`
}

// Victim is what was measured of the victim's failovers.
type Victim struct {
	// Slice is the time from the failure of the master until the EndpointSlices list
	// another pod alone, nil if that never came.
	Slice *Quantiles `json:"slice_ms,omitempty"`
	// Failovers counts those that came, and Stopped those that did not.
	Failovers int `json:"failovers"`
	Stopped   int `json:"stopped,omitempty"`
	// Asked is how often in a second the controller's probe asked the victim's pods.
	Asked float64 `json:"asked_per_s"`
	// LivezMS is the slowest answer of a replica to /livez, and PeakMB the larger peak of
	// the replicas' resident memory.
	LivezMS float64 `json:"livez_ms"`
	PeakMB  float64 `json:"peak_mb"`
	// Killed counts replicas that ended.
	Killed int `json:"killed,omitempty"`
}

// By how much a figure may be worse beside an attack than alone. The slowest failover of a
// few is more often chance than their median.
const (
	tolerance        = 1.2
	toleranceSlowest = 5
)

// Worse says what is worse beside the attack than alone, in words; empty if nothing is.
func (n Neighbour) Worse() string {
	switch a, b := n.Alone, n.Beside; {
	case b.Killed > 0:
		return "a replica ended"
	case b.Stopped > 0:
		return "failovers stopped"
	case a.Slice != nil && b.Slice != nil && b.Slice.P50 > tolerance*a.Slice.P50:
		return "slower"
	case a.Slice != nil && b.Slice != nil && b.Slice.Max > toleranceSlowest*a.Slice.Max:
		return "slower at times"
	case b.Asked*tolerance < a.Asked:
		return "asked less often"
	}
	return ""
}

// Median sums up runs: the median of each figure. There must be one or more.
func Median(runs []Run) Run {
	of := func(figure func(Run) float64) float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, figure(r))
		}
		slices.Sort(values)
		return quantile.Of(values, 0.5)
	}
	quantiles := func(pick func(Run) *Quantiles) *Quantiles {
		if !slices.ContainsFunc(runs, func(r Run) bool { return pick(r) != nil }) {
			return nil
		}
		figure := func(q func(Quantiles) float64) float64 {
			return of(func(r Run) float64 {
				if pick(r) == nil {
					return 0
				}
				return q(*pick(r))
			})
		}
		return &Quantiles{
			P50: figure(func(q Quantiles) float64 { return q.P50 }),
			P99: figure(func(q Quantiles) float64 { return q.P99 }),
			Max: figure(func(q Quantiles) float64 { return q.Max }),
		}
	}
	m := Run{
		Lease: quantiles(func(r Run) *Quantiles { return r.Lease }), Slice: quantiles(func(r Run) *Quantiles { return r.Slice }),
		LastMS:     of(func(r Run) float64 { return r.LastMS }),
		StartMS:    of(func(r Run) float64 { return r.StartMS }),
		Unserved:   int(of(func(r Run) float64 { return float64(r.Unserved) })),
		PeakMB:     of(func(r Run) float64 { return r.PeakMB }),
		CPUSeconds: of(func(r Run) float64 { return r.CPUSeconds }),
		Watches:    int(of(func(r Run) float64 { return float64(r.Watches) })),
		Goroutines: int(of(func(r Run) float64 { return float64(r.Goroutines) })),
		Requests:   map[string]int{},
	}
	for _, r := range runs {
		for request := range r.Requests {
			m.Requests[request] = int(of(func(r Run) float64 { return float64(r.Requests[request]) }))
		}
	}
	return m
}

// Total returns the number of requests.
func (r Run) Total() (total int) {
	for _, n := range r.Requests {
		total += n
	}
	return total
}

// Replace replaces the results of the same loads, routings and parts, and the same attacks,
// with what was measured, and sorts all. It drops results that were measured under another
// header.
func (f *File) Replace(header Header, measured []Result, neighbours []Neighbour) {
	if f.Header != header {
		*f = File{Header: header}
	}
	f.Results = slices.DeleteFunc(f.Results, func(old Result) bool {
		return slices.ContainsFunc(measured, func(r Result) bool {
			return r.Load == old.Load && r.Routing == old.Routing && r.Part == old.Part
		})
	})
	f.Results = append(f.Results, measured...)
	slices.SortStableFunc(f.Results, func(a, b Result) int {
		return cmp.Or(CompareLoads(a.Load, b.Load), cmp.Compare(slices.Index(Routings, a.Routing), slices.Index(Routings, b.Routing)), cmp.Compare(place(a.Part), place(b.Part)))
	})
	f.Neighbours = slices.DeleteFunc(f.Neighbours, func(old Neighbour) bool {
		return slices.ContainsFunc(neighbours, func(n Neighbour) bool { return n.Attack == old.Attack })
	})
	f.Neighbours = append(f.Neighbours, neighbours...)
	slices.SortStableFunc(f.Neighbours, func(a, b Neighbour) int { return cmp.Compare(a.Attack, b.Attack) })
}

// CompareLoads orders loads: those in one namespace last.
func CompareLoads(a, b Load) int {
	alone := func(l Load) int {
		if l.Namespaces == 1 {
			return 1
		}
		return 0
	}
	return cmp.Or(alone(a)-alone(b), cmp.Compare(a.Elections, b.Elections), cmp.Compare(a.Namespaces, b.Namespaces), cmp.Compare(a.Nodes, b.Nodes))
}

// Read reads results.json. If it does not exist, Read returns an empty File.
func Read(path string) (File, error) { return document.ReadResults[File](path) }

// Write writes results.json.
func (f File) Write(path string) error { return document.WriteResults(path, f) }

// String is a line of progress.
func (r Run) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Slice != nil {
		add("Lease after %.0f / %.0f ms (p50 / p99), slice after %.0f / %.0f ms, the last %.0f ms after the last cause", r.Lease.P50, r.Lease.P99, r.Slice.P50, r.Slice.P99, r.LastMS)
	}
	if r.StartMS > 0 {
		add("started within %.0f ms", r.StartMS)
	}
	if r.Unserved > 0 {
		add("%d NOT SERVED", r.Unserved)
	}
	add("peak %.0f MB, CPU %.1f s, %d requests, %d watches, %d goroutines", r.PeakMB, r.CPUSeconds, r.Total(), r.Watches, r.Goroutines)
	return strings.Join(parts, "; ")
}

// String is a line of progress.
func (v Victim) String() string {
	text := "no failover"
	if v.Slice != nil {
		text = fmt.Sprintf("slice after %.0f / %.0f ms (p50 / max)", v.Slice.P50, v.Slice.Max)
	}
	return fmt.Sprintf("%s, %d of %d stopped, asked %.1f times a second, /livez within %.0f ms, peak %.0f MB", text, v.Stopped, v.Failovers+v.Stopped, v.Asked, v.LivezMS, v.PeakMB)
}
