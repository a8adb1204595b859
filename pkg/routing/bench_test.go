package routing

import (
	"fmt"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// BenchmarkPlan is of so many elections, of three pods each, whose master is another pod from
// now on: the plan, and the changes that move the traffic. An election costs the same however
// many there are.
func BenchmarkPlan(b *testing.B) {
	for _, elections := range []int{10, 1_000, 10_000} {
		for _, by := range []struct {
			routing api.Routing
			members services
		}{
			{api.RoutingSelector, services{service(api.RoutingSelector, "uid-a", "4")}},
			{api.RoutingEndpointSlice, services{service(api.RoutingEndpointSlice, "", "4", selectorless, with(ownSlice("a", "4")))}},
		} {
			b.Run(fmt.Sprintf("routing=%s/elections=%d", by.routing, elections), func(b *testing.B) {
				all := pods{pod("a", active("4"), running), pod("b", standby("4"), running), pod("c", standby("4"), running)}
				to := Assignment{HolderUID: "uid-b", Epoch: 5}
				if phase, changes := NewPlan(to, by.members, all).Next(); phase != PhaseRoute || len(changes) != 1 {
					b.Fatalf("phase %v has the changes %v", phase, changes)
				}
				b.ReportAllocs()
				for b.Loop() {
					for range elections {
						NewPlan(to, by.members, all).Next()
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*elections), "ns/election")
			})
		}
	}
}
