package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

var about = map[string]Scenario{
	"killed":     {Title: "The master's process is killed", Why: "The kubelet looks once a second."},
	"switchover": {Title: "Planned switchover"},
}

var (
	plain         = results.Variant{Routing: results.Plain}
	selector      = results.Variant{Routing: results.Selector}
	selectorProbe = results.Variant{Routing: results.Selector, Probe: true}
)

// measuredFile has the variants in a different order from the documents.
var measuredFile = results.File{
	Header: results.Header{
		Kubernetes: "v1.37.2", Nodes: 4, CPUs: 2,
		KubeProxy: results.KubeProxy{Mode: "iptables", MinSyncPeriod: "1s"},
		Readiness: results.Readiness{PeriodSeconds: 1, TimeoutSeconds: 2, FailureThreshold: 3},
		Client:    results.Client{IntervalMS: 15, TimeoutMS: 1000},
		Probe:     results.Probe{URL: "http://:8080/ready", IntervalMS: 200, TimeoutMS: 150, Failures: 2},
	},
	Results: []results.Result{
		{
			Scenario: "killed", Variant: selectorProbe, Runs: 5, Date: "2026-11-26", Controller: "v1.3.0",
			OutageMS: results.Quantiles{P50: 410, P90: 1400, Max: 1420}, Lost: 150, Sent: 1500, Transitions: 5,
			Median: results.Run{OutageMS: 410, Steps: results.Steps{Decided: ptr.To(350.0)}},
		},
		{
			Scenario: "killed", Variant: selector, Runs: 10, Date: "2026-11-25", Controller: "v1.2.3",
			OutageMS:         results.Quantiles{P50: 1210, P90: 1350, Max: 1462},
			AfterDetectionMS: &results.Quantiles{P50: 985, P90: 990, Max: 1004},
			Lost:             815, Sent: 3100, Transitions: 10, KeptMS: &results.Quantiles{P50: 7}, KeptToTheEnd: 2,
			Median: results.Run{
				OutageMS: 1210, Lost: 80, Outage: &results.Span{From: -8, To: 1202},
				Steps: results.Steps{Noticed: ptr.To(140.0), Decided: ptr.To(152.0), Published: ptr.To(171.0), Answered: ptr.To(1202.0)},
				Lanes: []results.Lane{
					{Pod: "old", Spans: []results.Span{{From: -1000, To: -8}}},
					{Pod: "new", Spans: []results.Span{{From: 1200, To: 4000}}},
					{Pod: "lost", Spans: []results.Span{{From: 7, To: 1190}}},
				},
			},
			Worst: results.Run{Steps: results.Steps{Noticed: ptr.To(390.0)}},
		},
		{
			Scenario: "killed", Variant: plain, Runs: 10, Date: "2026-11-25", Controller: "v1.2.3",
			OutageMS: results.Quantiles{P50: 180, P90: 200, Max: 1000}, Lost: 43, Sent: 3000,
			Median: results.Run{OutageMS: 180, Outage: &results.Span{From: -4, To: 176}, Steps: results.Steps{Noticed: ptr.To(120.0), Published: ptr.To(141.0)}},
		},
		{
			Scenario: "switchover", Variant: selector, Runs: 10, Date: "2026-11-25", Controller: "v1.2.3",
			OutageMS: results.Quantiles{P50: 16, P90: 17, Max: 31}, Sent: 2900, OverlapMSMax: 3, Transitions: 10,
			KeptMS: &results.Quantiles{P50: 4000}, KeptToTheEnd: 10,
			Median: results.Run{Steps: results.Steps{Decided: ptr.To(20.0)}},
		},
	},
	KubeProxies: slices.Concat(
		withProxy("iptables", "1s", withSelector, withPlain), withProxy("nftables", "100ms", withSelector),
	),
}

var (
	withSelector = results.Result{
		Scenario: "killed", Variant: selector, Runs: 3, Date: "2026-11-27", Controller: "v1.3.0",
		OutageMS: results.Quantiles{P50: 1210, Max: 1462}, Lost: 246, Sent: 900,
	}
	withPlain = results.Result{
		Scenario: "killed", Variant: plain, Runs: 3, Date: "2026-11-27", Controller: "v1.3.0",
		OutageMS: results.Quantiles{P50: 180, Max: 1000}, Lost: 13, Sent: 900,
	}
)

func withProxy(mode, period string, all ...results.Result) []results.Result {
	for i := range all {
		all[i].KubeProxy = &results.KubeProxy{Mode: mode, MinSyncPeriod: period}
	}
	return all
}

const (
	blankReadme  = "# Project\n\n<!-- generated: failover-brief, by make update -->\n<!-- end -->\n"
	blankSummary = "# Guarantees\n\nProse.\n\n<!-- generated: failover-summary, by make update -->\nold\n<!-- end -->\n\nMore.\n"
	blankDetail  = `A
<!-- generated: measured-on, by make update -->
<!-- end -->
B
<!-- generated: results, by make update -->
<!-- end -->
C
<!-- generated: steps, by make update -->
<!-- end -->
D
<!-- generated: kube-proxies, by make update -->
<!-- end -->
`
)

// project returns a directory with what Write needs.
func project(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := measuredFile.Write(filepath.Join(root, source)); err != nil {
		t.Fatal(err)
	}
	put(t, root, readme, blankReadme)
	put(t, root, summary, blankSummary)
	put(t, root, detail, blankDetail)
	return root
}

func put(t *testing.T, root, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrite(t *testing.T) {
	root := project(t)
	if err := Write(root, about); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantReadme, read(t, root, readme)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", readme, diff)
	}
	if diff := cmp.Diff(wantSummary, read(t, root, summary)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", summary, diff)
	}
	if diff := cmp.Diff(wantDetail, read(t, root, detail)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", detail, diff)
	}
	svg := read(t, root, folder+"/killed.svg")
	for _, said := range []string{"plain Service", "losses within 180 ms", ">selector<", ">selector with probes<", "no answer for 1.21 s", "answered 1.20 s", ">80 lost<", "Arial"} {
		if !strings.Contains(svg, said) {
			t.Errorf("the picture does not say %q", said)
		}
	}
	if strings.Index(svg, "plain Service") > strings.Index(svg, ">selector<") {
		t.Error("the picture does not begin with the plain Service")
	}
}

func TestColumns(t *testing.T) {
	of := func(variants ...results.Variant) (s scenario) {
		for _, v := range variants {
			s.results = append(s.results, results.Result{Variant: v})
		}
		return s
	}
	unknown := results.Variant{Routing: "unknown"}
	got := variants([]scenario{of(unknown, selectorProbe), of(plain, selectorProbe), of(selector)})
	if diff := cmp.Diff([]results.Variant{plain, selector, selectorProbe, unknown}, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestBrief(t *testing.T) {
	var got []string
	for _, s := range brief([]scenario{{slug: "killed"}, {slug: "drained"}, {slug: "switchover"}}) {
		got = append(got, s.slug)
	}
	if diff := cmp.Diff([]string{"killed", "switchover"}, got); diff != "" {
		t.Error("the README shows other scenarios (-want +got)", diff)
	}
}

func TestMeasuredWithoutProbes(t *testing.T) {
	h := measuredFile.Header
	h.Probe = results.Probe{}
	if text := measuredOn(h); strings.Contains(text, "own probe") {
		t.Errorf("the table has a row for the probe:\n%s", text)
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		path, text string
		about      map[string]Scenario
		want       string
	}{
		"a region has no begin": {
			path: detail, text: strings.Replace(blankDetail, "generated: steps", "generated: stops", 1), about: about,
			want: `docs/failover/README.md: there is no line "<!-- generated: steps, by make update -->"`,
		},
		"a region has no end, and the next region's does not count": {
			path: detail, text: strings.Replace(blankDetail, "<!-- end -->\nB\n", "B\n", 1), about: about,
			want: `docs/failover/README.md: there is no line "<!-- end -->" after "<!-- generated: measured-on, by make update -->"`,
		},
		"a scenario is unknown": {
			path: detail, text: blankDetail, about: map[string]Scenario{"killed": {Title: "Killed"}},
			want: `docs/failover/results.json: unknown scenario "switchover"`,
		},
		"the results are empty": {
			path: source, text: "{}", about: about,
			want: "docs/failover/results.json has no results; `make e2e-failover` measures them",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := project(t)
			put(t, root, test.path, test.text)
			err := Write(root, test.about)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want\n%s", err, test.want)
			}
			if diff := cmp.Diff(blankSummary, read(t, root, summary)); diff != "" {
				t.Errorf("Write has changed a document despite the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	root := project(t)
	if err := Write(root, about); err != nil {
		t.Fatal(err)
	}
	if err := Check(root, about); err != nil {
		t.Errorf("Check refuses what Write has just written: %v", err)
	}
	put(t, root, summary, strings.Replace(read(t, root, summary), "1.21\u00a0s", "1.20\u00a0s", 1))
	put(t, root, folder+"/older.svg", "")
	if err := os.Remove(filepath.Join(root, folder, "killed.svg")); err != nil {
		t.Fatal(err)
	}
	want := "docs/guarantees.md is not what docs/failover/results.json says\n" +
		"docs/failover/killed.svg is missing\n" +
		"docs/failover/older.svg shows what is not in docs/failover/results.json\n" +
		"run `make update`"
	if err := Check(root, about); err == nil || err.Error() != want {
		t.Errorf("error %v, want\n%s", err, want)
	}
	if err := Write(root, about); err != nil {
		t.Fatal(err)
	}
	if err := Check(root, about); err != nil {
		t.Errorf("Check refuses what Write has repaired: %v", err)
	}
}
