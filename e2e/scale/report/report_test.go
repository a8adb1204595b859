package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

var (
	spread = results.Load{Elections: 100, Namespaces: 10, Nodes: 10}
	alone  = results.Load{Elections: 1000, Namespaces: 1, Nodes: 10}
)

var measured = results.File{
	Header: results.Header{Kubernetes: "v1.36.3", CPUs: 2, Replicas: 2, Candidates: 3},
	Results: []results.Result{
		{Load: spread, Routing: results.EndpointSlice, Part: results.OptIn, Date: "2026-11-30", Controller: "v1", Runs: []results.Run{{
			Lease: &results.Quantiles{P50: 100, P99: 200}, Slice: &results.Quantiles{P50: 300, P99: 1400, Max: 1500}, LastMS: 900,
			PeakMB: 56.4, CPUSeconds: 0.24, Watches: 16, Goroutines: 700, Requests: map[string]int{"patch pods": 300, "get pods": 40},
		}}},
		{Load: spread, Routing: results.EndpointSlice, Part: results.Rest, Date: "2026-11-30", Controller: "v1", Runs: []results.Run{{PeakMB: 60, Requests: map[string]int{}}}},
		{Load: spread, Routing: results.EndpointSlice, Part: results.Restart, Date: "2026-11-30", Controller: "v1", Runs: []results.Run{{StartMS: 300, PeakMB: 50}}},
		{Load: spread, Routing: results.EndpointSlice, Part: results.Failover(20), Date: "2026-12-01", Controller: "v2", Runs: []results.Run{{
			Lease: &results.Quantiles{P50: 10, P99: 20}, Slice: &results.Quantiles{P50: 30, P99: 40, Max: 50}, PeakMB: 58, Requests: map[string]int{"patch pods": 20},
		}}},
		{Load: alone, Routing: results.Selector, Part: results.OptIn, Date: "2026-11-30", Controller: "v1", Runs: []results.Run{{Unserved: 333, PeakMB: 1400}}},
	},
	Neighbours: []results.Neighbour{
		{
			Attack: "flapping",
			Alone:  results.Victim{Slice: &results.Quantiles{P50: 40, Max: 100}, Failovers: 15, Asked: 14, LivezMS: 2, PeakMB: 37},
			Beside: results.Victim{Slice: &results.Quantiles{P50: 80, Max: 1900}, Failovers: 12, Stopped: 3, Asked: 9, LivezMS: 170, PeakMB: 271},
		},
		{Attack: "unknown"},
	},
}

const blank = `A
<!-- generated: measured-on, by make update -->
<!-- end -->
<!-- generated: summary, by make update -->
<!-- end -->
<!-- generated: detail, by make update -->
<!-- end -->
<!-- generated: neighbours, by make update -->
<!-- end -->
`

func project(t *testing.T, file results.File) Documents {
	t.Helper()
	d := Documents{Root: t.TempDir(), Attacks: []Attack{{"burst", "many"}, {"flapping", "two pods"}}}
	if err := os.MkdirAll(filepath.Join(d.Root, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := file.Write(filepath.Join(d.Root, source)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Root, page), []byte(blank), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(); err != nil {
		t.Fatal(err)
	}
	if err := d.Check(); err != nil {
		t.Errorf("Check refuses what Write has just written: %v", err)
	}
	return d
}

func read(t *testing.T, d Documents, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrite(t *testing.T) {
	d := project(t, measured)
	want := strings.ReplaceAll(`A
<!-- generated: measured-on, by make update -->

| what | value |
| --- | --- |
| Kubernetes | v1.36.3 |
| CPUs | 2, which etcd, the API server, Kubernetes' controllers, the replicas and the instrument share |
| replicas | 2 |
| candidates of each election | 3 |

<!-- end -->
<!-- generated: summary, by make update -->

| elections | routing | opt-in: last served | peak RSS | start | at rest: requests / CPU | 20 fail: p50 / p99 |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
| 100 in 10 namespaces, 10 nodes | ^endpointslice^ | 900 ms | 60 MB | 300 ms | 0 / 0.0 s | 30 ms / 40 ms |
| 1000 in one namespace, 10 nodes | ^selector^ | 333 never | 1400 MB | – | – | – |

![Routing endpointslice: ms until the slices list the new master, p50 (p99 dashed)](failover-endpointslice.svg)

![Peak RSS of a replica, in MB](memory.svg)

<!-- end -->
<!-- generated: detail, by make update -->

### 100 in 10 namespaces, 10 nodes, ^endpointslice^

| part | runs | Lease: p50 / p99 | slice: p50 / p99 / max | last served | peak RSS | CPU | watches | goroutines | requests |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| opt-in | 1 | 100 ms / 200 ms | 300 ms / 1.40 s / 1.50 s | 900 ms | 56 MB | 0.2 s | 16 | 700 | 340 |
| rest | 1 | – | – | – | 60 MB | 0.0 s | 0 | 0 | 0 |
| restart | 1 | – | – | – | 50 MB | 0.0 s | 0 | 0 | 0 |
| failover-20 | 1 | 10 ms / 20 ms | 30 ms / 40 ms / 50 ms | 0 ms | 58 MB | 0.0 s | 0 | 0 | 20 |

| requests | opt-in | rest | restart | failover-20 |
| --- | ---: | ---: | ---: | ---: |
| get pods | 40 | – | – | – |
| patch pods | 300 | – | – | 20 |

Measured on 2026-11-30, version v1; on 2026-12-01, version v2.

### 1000 in one namespace, 10 nodes, ^selector^

| part | runs | Lease: p50 / p99 | slice: p50 / p99 / max | last served | peak RSS | CPU | watches | goroutines | requests |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| opt-in | 1 | – | – | 333 never | 1400 MB | 0.0 s | 0 | 0 | 0 |

Measured on 2026-11-30, version v1.

<!-- end -->
<!-- generated: neighbours, by make update -->

| attack | the neighbour has | alone: p50 / max | beside: p50 / max | ratio | probes a second | slowest /livez | peak RSS | worse |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| flapping | two pods | 40 ms / 100 ms | 80 ms / 1.90 s (3 of 15 stopped) | 2.0 | 14.0 / 9.0 | 2 ms / 170 ms | 37 MB / 271 MB | failovers stopped |

<!-- end -->
`, "^", "`")
	if diff := cmp.Diff(want, read(t, d, page)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for picture, says := range map[string][]string{
		"failover-endpointslice": {"Routing endpointslice", "100 in 10 namespaces", "masters that fail at once", "Arial"},
		"memory":                 {"Peak RSS", "endpointslice, many namespaces", "selector, one namespace"},
	} {
		svg := read(t, d, folder+"/"+picture+".svg")
		for _, said := range says {
			if !strings.Contains(svg, said) {
				t.Errorf("the picture %s does not say %q", picture, said)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(d.Root, folder, "failover-selector.svg")); err == nil {
		t.Error("there is a picture without lines")
	}
}

func TestNothingMeasured(t *testing.T) {
	d := project(t, results.File{})
	if got := strings.Count(read(t, d, page), unmeasured); got != 4 {
		t.Errorf("%d regions say that nothing is measured, want 4", got)
	}
}

func TestPrint(t *testing.T) {
	d := project(t, measured)
	var text strings.Builder
	if err := d.Print(&text, filepath.Join(d.Root, source)); err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"| 333 never |", "### 100 in 10 namespaces", "| flapping |"} {
		if !strings.Contains(text.String(), said) {
			t.Errorf("it does not print %q:\n%s", said, &text)
		}
	}
}

func TestPrintOfNothing(t *testing.T) {
	var text strings.Builder
	if err := (Documents{}).Print(&text, filepath.Join(t.TempDir(), "results.json")); err != nil || text.Len() > 0 {
		t.Errorf("it prints %q, %v", &text, err)
	}
}

func TestPowers(t *testing.T) {
	var labels []string
	for _, tick := range powers(1, 100) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if diff := cmp.Diff([]string{"1", "10", "100"}, labels); diff != "" {
		t.Error("(-want +got)", diff)
	}
}
