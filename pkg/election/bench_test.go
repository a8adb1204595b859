package election

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkDecide is of so many elections, of three candidates each, whose masters fail at
// once. An election costs the same however many there are.
func BenchmarkDecide(b *testing.B) {
	for _, elections := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("elections=%d", elections), func(b *testing.B) {
			var views []View
			for i := range elections {
				name := func(n int) string { return fmt.Sprintf("web-%d-%d", i, n) }
				views = append(views, View{
					Now: now, Lease: held(name(0), 1), Trace: routed(name(0), 1),
					Candidates: []Candidate{pod(name(0), notReady), pod(name(1)), pod(name(2))},
				})
			}
			if d := Decide(views[0]); d.Action != Failover || d.HolderUID != types.UID("uid-web-0-1") {
				b.Fatalf("it decides %+v", d)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, v := range views {
					Decide(v)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*elections), "ns/election")
		})
	}
}
