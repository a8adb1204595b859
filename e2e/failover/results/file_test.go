package results

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	plain         = Variant{Routing: Plain}
	label         = Variant{Routing: Label}
	selectors     = Variant{Routing: Selector}
	selectorProbe = Variant{Routing: Selector, Probe: true}
	slicesProbe   = Variant{Routing: EndpointSlice, Probe: true}
)

func TestReplace(t *testing.T) {
	old := []Result{
		{Scenario: "b", Variant: selectorProbe, Runs: 1},
		{Scenario: "b", Variant: plain, Runs: 1},
		{Scenario: "b", Variant: Variant{Routing: "given up"}},
		{Scenario: "given up", Variant: plain},
		{Scenario: "c", Variant: selectorProbe, Runs: 1},
	}
	for name, test := range map[string]struct {
		header   Header
		measured []Result
		want     []Result
	}{
		"results of the same scenario and variant are replaced, and others stay": {
			Header{Kubernetes: "v1", Probe: Probe{Failures: 2}},
			[]Result{{Scenario: "b", Variant: selectorProbe, Runs: 9}, {Scenario: "a", Variant: plain, Runs: 9}},
			[]Result{
				{Scenario: "a", Variant: plain, Runs: 9},
				{Scenario: "b", Variant: plain, Runs: 1},
				{Scenario: "b", Variant: selectorProbe, Runs: 9},
				{Scenario: "c", Variant: selectorProbe, Runs: 1},
			},
		},
		"the variants of a scenario are sorted": {
			Header{Kubernetes: "v1", Probe: Probe{Failures: 2}},
			[]Result{{Scenario: "b", Variant: slicesProbe, Runs: 9}, {Scenario: "b", Variant: selectors, Runs: 9}},
			[]Result{
				{Scenario: "b", Variant: plain, Runs: 1},
				{Scenario: "b", Variant: selectors, Runs: 9},
				{Scenario: "b", Variant: selectorProbe, Runs: 1},
				{Scenario: "b", Variant: slicesProbe, Runs: 9},
				{Scenario: "c", Variant: selectorProbe, Runs: 1},
			},
		},
		"results of another cluster are dropped": {
			Header{Kubernetes: "v2", Probe: Probe{Failures: 2}},
			[]Result{{Scenario: "a", Variant: plain, Runs: 9}},
			[]Result{{Scenario: "a", Variant: plain, Runs: 9}},
		},
		"results with other probes are dropped, and those without probes stay": {
			Header{Kubernetes: "v1", Probe: Probe{Failures: 3}},
			[]Result{{Scenario: "c", Variant: slicesProbe, Runs: 9}},
			[]Result{{Scenario: "b", Variant: plain, Runs: 1}, {Scenario: "c", Variant: slicesProbe, Runs: 9}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := File{Header: Header{Kubernetes: "v1", Probe: Probe{Failures: 2}}, Results: slices.Clone(old)}
			f.Replace(test.header, []string{"a", "b", "c"}, test.measured)
			if diff := cmp.Diff(File{Header: test.header, Results: test.want}, f); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

func TestFileIsReadAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	want := File{
		Header:  Header{Kubernetes: "v1", Probe: Probe{URL: "http://:8080/ready", IntervalMS: 200, TimeoutMS: 100, Failures: 2}},
		Results: []Result{{Scenario: "a", Variant: plain}, {Scenario: "a", Variant: slicesProbe}, {Scenario: "a", Variant: Variant{Routing: "given up"}}},
	}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestCompare(t *testing.T) {
	of := func(scenario, mode string, runs int) Result {
		return Result{Scenario: scenario, Variant: plain, KubeProxy: &KubeProxy{Mode: mode}, Runs: runs}
	}
	f := File{KubeProxies: []Result{of("a", "iptables", 1), of("b", "iptables", 1), of("b", "ipvs", 1)}}
	f.Compare([]Result{of("b", "iptables", 9), of("b", "nftables", 9)})
	want := []Result{of("a", "iptables", 1), of("b", "iptables", 9), of("b", "nftables", 9)}
	if diff := cmp.Diff(want, f.KubeProxies); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestParseKubeProxy(t *testing.T) {
	if got, err := ParseKubeProxy("nftables/100ms"); err != nil || got != (KubeProxy{"nftables", "100ms"}) || got.String() != "nftables/100ms" {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "iptables", "iptables/", "/1s", "iptables/soon", "1s/iptables"} {
		if got, err := ParseKubeProxy(wrong); err == nil {
			t.Errorf("%q: %v, want an error", wrong, got)
		}
	}
}
