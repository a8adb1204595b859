package results

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLoad(t *testing.T) {
	tests := map[string]struct {
		text string
		want Load
		err  string
	}{
		"ten elections are in a namespace by default": {text: "100", want: Load{100, 10, 10}},
		"the last namespace may have fewer":           {text: "101", want: Load{101, 11, 10}},
		"namespaces can be given":                     {text: "200/1", want: Load{200, 1, 10}},
		"nodes can be given":                          {text: "10000/1000/5000", want: Load{10000, 1000, 5000}},
		"there are no more than three numbers":        {text: "1/1/1/1", err: `load "1/1/1/1": must be ELECTIONS, ELECTIONS/NAMESPACES or ELECTIONS/NAMESPACES/NODES`},
		"a load is a number":                          {text: "many", err: `load "many": "many" must be a number from 1`},
		"there is an election":                        {text: "0", err: `load "0": "0" must be a number from 1`},
		"each namespace has an election":              {text: "2/3", err: `load "2/3": there are more namespaces than elections`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseLoad(test.text)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("%v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	for part, want := range map[string]int{Failover(20): 20, OptIn: 0, "failover-": 0, "failover-x": 0} {
		if got := Failed(part); got != want {
			t.Errorf("%s: %d, want %d", part, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	if Of(nil) != nil {
		t.Error("there are quantiles of nothing")
	}
	var values []float64
	for i := range 200 {
		values = append(values, float64(200-i))
	}
	if diff := cmp.Diff(&Quantiles{P50: 100, P99: 198, Max: 200}, Of(values)); diff != "" {
		t.Error("(-want +got)", diff)
	}
	if values[0] != 200 {
		t.Error("the values were sorted in place")
	}
}

func TestMedian(t *testing.T) {
	got := Median([]Run{
		{Slice: &Quantiles{P50: 3, P99: 30, Max: 31}, Lease: &Quantiles{P50: 1}, LastMS: 9, PeakMB: 80, CPUSeconds: 2, Watches: 7, Goroutines: 70, Requests: map[string]int{"get pods": 4, "patch pods": 1}},
		{Slice: &Quantiles{P50: 1, P99: 90, Max: 95}, Lease: &Quantiles{P50: 2}, LastMS: 7, PeakMB: 60, CPUSeconds: 3, Watches: 8, Goroutines: 60, Requests: map[string]int{"get pods": 6}},
		{Slice: &Quantiles{P50: 2, P99: 20, Max: 21}, Lease: &Quantiles{P50: 3}, LastMS: 8, PeakMB: 70, CPUSeconds: 1, Watches: 9, Goroutines: 80, Requests: map[string]int{"get pods": 5}},
	})
	want := Run{
		Slice: &Quantiles{P50: 2, P99: 30, Max: 31}, Lease: &Quantiles{P50: 2}, LastMS: 8, PeakMB: 70, CPUSeconds: 2, Watches: 8, Goroutines: 70,
		Requests: map[string]int{"get pods": 5, "patch pods": 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
	if got.Total() != 5 {
		t.Errorf("%d requests, want 5", got.Total())
	}
	if rest := Median([]Run{{PeakMB: 1}}); rest.Slice != nil || rest.Lease != nil {
		t.Errorf("a part without failovers has times of them: %v", rest)
	}
}

func TestWorse(t *testing.T) {
	alone := Victim{Slice: &Quantiles{P50: 50, Max: 100}, Failovers: 15, Asked: 10}
	tests := map[string]struct {
		beside Victim
		want   string
	}{
		"a figure may be a little worse":           {beside: Victim{Slice: &Quantiles{P50: 60, Max: 500}, Failovers: 15, Asked: 9}},
		"a median may not be much worse":           {beside: Victim{Slice: &Quantiles{P50: 61, Max: 100}, Asked: 10}, want: "slower"},
		"the slowest may not be worse by far":      {beside: Victim{Slice: &Quantiles{P50: 50, Max: 501}, Asked: 10}, want: "slower at times"},
		"a failover that does not come is worse":   {beside: Victim{Slice: &Quantiles{P50: 50}, Stopped: 1, Asked: 10}, want: "failovers stopped"},
		"no failover at all is worse":              {beside: Victim{Stopped: 3}, want: "failovers stopped"},
		"a replica that ends is worse":             {beside: Victim{Stopped: 1, Killed: 1}, want: "a replica ended"},
		"a master that is asked less is worse":     {beside: Victim{Slice: &Quantiles{P50: 50}, Asked: 8}, want: "asked less often"},
		"memory alone is shown, but is not judged": {beside: Victim{Slice: &Quantiles{P50: 50}, Asked: 10, PeakMB: 1000}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (Neighbour{Alone: alone, Beside: test.beside}).Worse(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	header := Header{CPUs: 2}
	of := func(l Load, routing, part, date string) Result {
		return Result{Load: l, Routing: routing, Part: part, Date: date}
	}
	small, large, alone := Load{100, 10, 10}, Load{1000, 100, 10}, Load{200, 1, 10}
	f := File{Header: header, Results: []Result{of(large, Selector, OptIn, "old"), of(small, EndpointSlice, Failover(20), "old")}, Neighbours: []Neighbour{{Attack: "b"}, {Attack: "c", Date: "old"}}}
	f.Replace(header, []Result{
		of(alone, Selector, OptIn, "new"), of(small, EndpointSlice, Failover(20), "new"), of(small, EndpointSlice, Failover(1), "new"),
		of(small, EndpointSlice, Restart, "new"), of(small, EndpointSlice, OptIn, "new"), of(small, Selector, OptIn, "new"),
	}, []Neighbour{{Attack: "c", Date: "new"}, {Attack: "a"}})
	want := File{
		Header: header,
		Results: []Result{
			of(small, Selector, OptIn, "new"), of(small, EndpointSlice, OptIn, "new"), of(small, EndpointSlice, Restart, "new"),
			of(small, EndpointSlice, Failover(1), "new"), of(small, EndpointSlice, Failover(20), "new"),
			of(large, Selector, OptIn, "old"), of(alone, Selector, OptIn, "new"),
		},
		Neighbours: []Neighbour{{Attack: "a"}, {Attack: "b"}, {Attack: "c", Date: "new"}},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error("(-want +got)", diff)
	}
	f.Replace(Header{CPUs: 4}, []Result{of(small, Selector, Rest, "new")}, nil)
	if len(f.Results) != 1 || len(f.Neighbours) != 0 {
		t.Errorf("results of another machine are left: %v", f)
	}
}

func TestReadsWhatItWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if f, err := Read(path); err != nil || len(f.Results) > 0 {
		t.Errorf("a file that does not exist is %v, %v", f, err)
	}
	want := File{
		Header:     Header{Kubernetes: "v1.36.3", CPUs: 2, Replicas: 2, Candidates: 3},
		Results:    []Result{{Load: Load{100, 10, 10}, Routing: Selector, Part: OptIn, Runs: []Run{{Slice: &Quantiles{P50: 1.5}, Requests: map[string]int{"get pods": 1}}}}},
		Neighbours: []Neighbour{{Attack: "flapping", Alone: Victim{Failovers: 15}}},
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
