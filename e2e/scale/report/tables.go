package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// unmeasured is in the place of a table without rows.
const unmeasured = "Not measured yet.\n"

func measuredOn(h results.Header) string {
	if h == (results.Header{}) {
		return unmeasured
	}
	return document.Head(2, "what", "value") +
		document.Row("Kubernetes", h.Kubernetes) +
		document.Row("CPUs", fmt.Sprintf("%d, which etcd, the API server, Kubernetes' controllers, the replicas and the instrument share", h.CPUs)) +
		document.Row("replicas", fmt.Sprint(h.Replicas)) +
		document.Row("candidates of each election", fmt.Sprint(h.Candidates))
}

// group is what was measured with one load and one routing.
type group struct {
	load    results.Load
	routing string
	results []results.Result
}

// groups returns the results of each load and routing, in the order of the file.
func groups(f results.File) (all []group) {
	for _, r := range f.Results {
		last := len(all) - 1
		if last < 0 || all[last].load != r.Load || all[last].routing != r.Routing {
			all = append(all, group{load: r.Load, routing: r.Routing})
			last++
		}
		all[last].results = append(all[last].results, r)
	}
	return all
}

// named says in words what a load is.
func named(l results.Load) string { return fmt.Sprintf("%s, %d nodes", place(l), l.Nodes) }

// place is named without the nodes.
func place(l results.Load) string {
	if l.Namespaces == 1 {
		return fmt.Sprintf("%d in one namespace", l.Elections)
	}
	return fmt.Sprintf("%d in %d namespaces", l.Elections, l.Namespaces)
}

// summaryTable has a row for each load and routing.
func summaryTable(f results.File) string {
	if len(f.Results) == 0 {
		return unmeasured
	}
	var failures []int
	for _, r := range f.Results {
		if n := results.Failed(r.Part); n > 0 && !slices.Contains(failures, n) {
			failures = append(failures, n)
		}
	}
	slices.Sort(failures)
	cells := []string{"elections", "routing", "opt-in: last served", "peak RSS", "start", "at rest: requests / CPU"}
	for _, n := range failures {
		cells = append(cells, fmt.Sprintf("%d fail: p50 / p99", n))
	}
	text := document.Head(2, cells...)
	for _, g := range groups(f) {
		part := map[string]results.Run{}
		peak := 0.0
		for _, r := range g.results {
			part[r.Part] = results.Median(r.Runs)
			peak = max(peak, part[r.Part].PeakMB)
		}
		cells := []string{named(g.load), "`" + g.routing + "`", document.Nothing, megabytes(peak), document.Nothing, document.Nothing}
		if run, found := part[results.OptIn]; found {
			cells[2] = served(run, document.Duration(run.LastMS))
		}
		if run, found := part[results.Restart]; found {
			cells[4] = document.Duration(run.StartMS)
		}
		if run, found := part[results.Rest]; found {
			cells[5] = fmt.Sprintf("%d / %s", run.Total(), seconds(run.CPUSeconds))
		}
		for _, n := range failures {
			cell := document.Nothing
			if run, found := part[results.Failover(n)]; found {
				cell = served(run, quantiles(run.Slice))
			}
			cells = append(cells, cell)
		}
		text += document.Row(cells...)
	}
	return text
}

// served is a cell with what was measured, or with how many elections were not served.
func served(r results.Run, text string) string {
	if r.Unserved > 0 {
		return fmt.Sprintf("%d never", r.Unserved)
	}
	return text
}

// detailTables has a table for each load and routing, with a row for each part.
func detailTables(f results.File) string {
	if len(f.Results) == 0 {
		return unmeasured
	}
	var parts []string
	for _, g := range groups(f) {
		text := fmt.Sprintf("### %s, `%s`\n\n", named(g.load), g.routing) +
			document.Head(1, "part", "runs", "Lease: p50 / p99", "slice: p50 / p99 / max", "last served", "peak RSS", "CPU", "watches", "goroutines", "requests")
		for _, r := range g.results {
			run := results.Median(r.Runs)
			lease, slice, last := document.Nothing, document.Nothing, served(run, document.Nothing)
			if run.Slice != nil {
				lease, slice, last = quantiles(run.Lease), quantiles(run.Slice)+" / "+document.Duration(run.Slice.Max), served(run, document.Duration(run.LastMS))
			}
			text += document.Row(r.Part, fmt.Sprint(len(r.Runs)), lease, slice, last, megabytes(run.PeakMB), seconds(run.CPUSeconds),
				fmt.Sprint(run.Watches), fmt.Sprint(run.Goroutines), fmt.Sprint(run.Total()))
		}
		text += requests(g) + "\nMeasured " + when(g.results) + ".\n"
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n")
}

// requests is a table of the requests of a group, by verb and resource; empty if there were none.
func requests(g group) string {
	all := map[string]bool{}
	cells := []string{"requests"}
	var medians []results.Run
	for _, r := range g.results {
		run := results.Median(r.Runs)
		medians, cells = append(medians, run), append(cells, r.Part)
		for request := range run.Requests {
			all[request] = true
		}
	}
	if len(all) == 0 {
		return ""
	}
	text := "\n" + document.Head(1, cells...)
	for _, request := range slices.Sorted(maps.Keys(all)) {
		row := []string{request}
		for _, run := range medians {
			row = append(row, cmp.Or(strings.TrimPrefix(fmt.Sprint(run.Requests[request]), "0"), document.Nothing))
		}
		text += document.Row(row...)
	}
	return text
}

// when says when the results were measured, and with which versions of the controller.
func when(all []results.Result) string {
	var times []string
	for _, r := range all {
		if at := fmt.Sprintf("on %s, version %s", r.Date, r.Controller); !slices.Contains(times, at) {
			times = append(times, at)
		}
	}
	return strings.Join(times, "; ")
}

// neighbourTable has a row for each attack.
func (d Documents) neighbourTable(f results.File) string {
	if len(f.Neighbours) == 0 {
		return unmeasured
	}
	text := document.Head(2, "attack", "the neighbour has", "alone: p50 / max", "beside: p50 / max", "ratio", "probes a second", "slowest /livez", "peak RSS", "worse")
	for _, a := range d.Attacks {
		i := slices.IndexFunc(f.Neighbours, func(n results.Neighbour) bool { return n.Attack == a.Name })
		if i < 0 {
			continue
		}
		n := f.Neighbours[i]
		ratio := document.Nothing
		if n.Alone.Slice != nil && n.Beside.Slice != nil && n.Alone.Slice.P50 > 0 {
			ratio = fmt.Sprintf("%.1f", n.Beside.Slice.P50/n.Alone.Slice.P50)
		}
		text += document.Row(a.Name, a.Does, victim(n.Alone), victim(n.Beside), ratio,
			fmt.Sprintf("%.1f / %.1f", n.Alone.Asked, n.Beside.Asked),
			document.Duration(n.Alone.LivezMS)+" / "+document.Duration(n.Beside.LivezMS),
			megabytes(n.Alone.PeakMB)+" / "+megabytes(n.Beside.PeakMB), cmp.Or(n.Worse(), document.Nothing))
	}
	return text
}

func victim(v results.Victim) string {
	text := document.Nothing
	if v.Slice != nil {
		text = document.Duration(v.Slice.P50) + " / " + document.Duration(v.Slice.Max)
	}
	if v.Stopped > 0 {
		text += fmt.Sprintf(" (%d of %d stopped)", v.Stopped, v.Failovers+v.Stopped)
	}
	return text
}

func quantiles(q *results.Quantiles) string {
	if q == nil {
		return document.Nothing
	}
	return document.Duration(q.P50) + " / " + document.Duration(q.P99)
}

func megabytes(mb float64) string { return fmt.Sprintf("%.0f MB", mb) }

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }
