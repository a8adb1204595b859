package nodeprobe

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// BenchmarkRound measures a round in which all nodes answer over connections that are held, but for the
// kernel's part, which BenchmarkHeld measures. There is one each second.
func BenchmarkRound(b *testing.B) {
	for _, nodes := range []int{10, 1000, 5000} {
		b.Run(fmt.Sprint(nodes, " nodes"), func(b *testing.B) {
			p := New(5*time.Second, func(string) (string, uint16) { return "10.0.0.1", 10250 }, &heartbeats{}, func(string) {})
			net := newNetwork()
			p.Network, p.capacity = net, maxNodes
			for i := range nodes {
				p.Want(types.NamespacedName{Name: fmt.Sprint(i)}, sets.New(fmt.Sprint(i)), "")
				p.targets[fmt.Sprint(i)].address, _ = address("10.0.0.1", 10250)
				net.held.Insert(fmt.Sprint(i))
			}
			for b.Loop() {
				p.round(b.Context())
			}
		})
	}
}

// BenchmarkHeld measures what it takes to ask the kernel about one connection.
func BenchmarkHeld(b *testing.B) {
	c := newConnections()
	to, _, _ := listen(b)
	if err := c.Connect(b.Context(), "a", to); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, held := c.Held("a", time.Now()); !held {
			b.Fatal("it is not held")
		}
	}
}
