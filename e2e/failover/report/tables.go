package report

import (
	"cmp"
	"fmt"
	"strings"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

func measuredOn(h results.Header) string {
	text := document.Head(2, "what", "value") +
		document.Row("Kubernetes", h.Kubernetes) +
		document.Row("nodes", fmt.Sprintf("%d, the control plane among them; they share %d CPUs with the pods and the clients", h.Nodes, h.CPUs)) +
		document.Row("kube-proxy", fmt.Sprintf("mode `%s`, `minSyncPeriod` %s", cmp.Or(h.KubeProxy.Mode, "default"), cmp.Or(h.KubeProxy.MinSyncPeriod, "default"))) +
		document.Row("readiness probe", fmt.Sprintf("`periodSeconds` %d, `timeoutSeconds` %d, `failureThreshold` %d",
			h.Readiness.PeriodSeconds, h.Readiness.TimeoutSeconds, h.Readiness.FailureThreshold))
	if h.Probe != (results.Probe{}) {
		text += document.Row("the controller's own probe, where a Service has one", fmt.Sprintf("`%s`, interval %s, timeout %s, failures %d",
			h.Probe.URL, setting(h.Probe.IntervalMS), setting(h.Probe.TimeoutMS), h.Probe.Failures))
	}
	return text + document.Row("client", fmt.Sprintf("a new connection every %s; lost if not answered within %s", setting(h.Client.IntervalMS), setting(h.Client.TimeoutMS)))
}

// summaryTable shows at a glance what a client loses. Its columns are narrow, so that
// all of them fit on a page.
func summaryTable(scenarios []scenario) string {
	order := variants(scenarios)
	cells := []string{""}
	for _, v := range order {
		cells = append(cells, strings.Join(names(v), "<br>"))
	}
	text := document.Head(len(cells), cells...)
	for _, s := range scenarios {
		cells := []string{s.Title}
		for _, v := range order {
			cells = append(cells, glance(s.result(v)))
		}
		text += document.Row(cells...)
	}
	return text
}

// proxyTables shows what a client loses with each configuration of kube-proxy.
func proxyTables(all []compared) string {
	if len(all) == 0 {
		return "Not measured yet.\n"
	}
	var scenarios []scenario
	var measuredAt []results.Result
	for _, c := range all {
		scenarios, measuredAt = append(scenarios, c.scenario), append(measuredAt, c.results...)
	}
	order := variants(scenarios)
	cells := []string{"", "kube-proxy", "runs"}
	for _, v := range order {
		cells = append(cells, strings.Join(names(v), "<br>"))
	}
	text := when(measuredAt) + "\n\n" + document.Head(len(cells), cells...)
	before := ""
	for _, c := range all {
		title := c.Title
		if title == before {
			title = ""
		}
		before = c.Title
		cells := []string{title, fmt.Sprintf("`%s`, %s", c.with.Mode, c.with.MinSyncPeriod), fmt.Sprint(c.results[0].Runs)}
		for _, v := range order {
			cells = append(cells, glance(c.result(v)))
		}
		text += document.Row(cells...)
	}
	return text
}

// glance is a cell of the summary. Its lines break only where it says so.
func glance(r *results.Result) string {
	if r == nil {
		return document.Nothing
	}
	lines := fmt.Sprintf("%s<br>(%s)<br>%s lost", document.Duration(r.OutageMS.P50), document.Duration(r.OutageMS.Max), perRun(r.Lost, r.Runs))
	return strings.ReplaceAll(lines, " ", "\u00a0")
}

func resultTables(scenarios []scenario) string {
	var parts []string
	for _, s := range scenarios {
		text := "### " + s.Title + "\n\n" + when(s.results) + "\n\n" +
			document.Head(1, "routing", "runs", "outage: p50 / p90 / max", "after detection: p50 / max", "lost of sent", "overlap", "transitions", "kept-alive")
		for _, r := range s.results {
			text += document.Row(append([]string{named(r.Variant), fmt.Sprint(r.Runs)}, measured(r)...)...)
		}
		if s.Why != "" {
			text += "\n" + s.Why + "\n"
		}
		parts = append(parts, text+fmt.Sprintf("\n![Timelines: %s](%s.svg)\n", s.Title, s.slug))
	}
	return strings.Join(parts, "\n")
}

// when says when each variant was measured, and with which version of the controller.
func when(all []results.Result) string {
	var times []string
	of := map[string][]string{}
	for _, r := range all {
		at := fmt.Sprintf("on %s, version %s", r.Date, r.Controller)
		if of[at] == nil {
			times = append(times, at)
		}
		of[at] = append(of[at], named(r.Variant))
	}
	if len(times) > 1 {
		for i, at := range times {
			times[i] += ": " + strings.Join(of[at], ", ")
		}
	}
	return "Measured " + strings.Join(times, "; ") + "."
}

// measured returns the cells of a result. The plain Service has no master, and thus no
// overlap and no transitions.
func measured(r results.Result) []string {
	after, overlap, transitions := document.Nothing, document.Nothing, document.Nothing
	if r.AfterDetectionMS != nil {
		after = document.Duration(r.AfterDetectionMS.P50) + " / " + document.Duration(r.AfterDetectionMS.Max)
	}
	if r.Variant.Routing != results.Plain {
		overlap, transitions = document.Duration(r.OverlapMSMax), moved(r)
	}
	return []string{
		document.Duration(r.OutageMS.P50) + " / " + document.Duration(r.OutageMS.P90) + " / " + document.Duration(r.OutageMS.Max),
		after,
		fmt.Sprintf("%d of %d", r.Lost, r.Sent),
		overlap,
		transitions,
		kept(r),
	}
}

// stepsTable shows where the time goes. A cell that would repeat the one above it is
// empty.
func stepsTable(scenarios []scenario) string {
	text := document.Head(3, "scenario", "routing", "run", "noticed", "decided", "published", "answered")
	for _, s := range scenarios {
		title := s.Title
		for _, r := range s.results {
			text += document.Row(append([]string{title, named(r.Variant), "median"}, steps(r.Median)...)...) +
				document.Row(append([]string{"", "", "worst"}, steps(r.Worst)...)...)
			title = ""
		}
	}
	return text
}

func steps(r results.Run) []string {
	return []string{step(r.Steps.Noticed), step(r.Steps.Decided), step(r.Steps.Published), step(r.Steps.Answered)}
}
