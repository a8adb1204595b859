package heartbeat

import (
	"runtime"
	"strconv"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/cache"
)

// BenchmarkMemory says how many bytes the watch of all nodes takes of a Lease, as it comes from
// the API server.
func BenchmarkMemory(b *testing.B) {
	const many = 10_000
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	for b.Loop() {
		store := cache.NewStore(cache.MetaNamespaceKeyFunc)
		before := heap()
		for i := range many {
			data, err := lease("node-" + strconv.Itoa(i)).Marshal()
			if err != nil {
				b.Fatal(err)
			}
			received := &coordinationv1.Lease{}
			if err := received.Unmarshal(data); err != nil {
				b.Fatal(err)
			}
			trimmed, _ := trim(received)
			if err := store.Add(trimmed); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/many, "bytes/object")
		runtime.KeepAlive(store)
	}
}
