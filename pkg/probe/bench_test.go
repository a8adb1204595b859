package probe

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// BenchmarkProber measures what it costs to ask 5000 pods every 250 ms, one or two for
// each election: the CPU time of this process, which includes the server, and its memory.
// Run it with -benchtime=1x. It takes half a minute for each case.
func BenchmarkProber(b *testing.B) {
	const targets, measured = 5000, 20 * time.Second
	for _, scheme := range []api.ProbeScheme{api.ProbeTCP, api.ProbeHTTP} {
		for _, pods := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d pods each", scheme, pods), func(b *testing.B) {
				port, served := benchmarkServer(b)
				var news atomic.Int64
				p := New(func(types.NamespacedName) { news.Add(1) })
				probe := api.Probe{Scheme: scheme, Port: port, Path: "/", Interval: 250 * time.Millisecond, Timeout: 250 * time.Millisecond, Failures: 2}
				for i := range targets / pods {
					var wanted []Target
					for pod := range pods {
						// Each pod has its own address: connections to one alone would use up its ports.
						n := i*pods + pod
						wanted = append(wanted, Target{
							Pod: types.UID(fmt.Sprint(n)), Address: fmt.Sprintf("127.1.%d.%d", n/200, 1+n%200), Probe: probe, Master: pod == 0,
						})
					}
					p.Want(types.NamespacedName{Namespace: fmt.Sprint("default-", i%50), Name: fmt.Sprint(i)}, wanted)
				}
				go p.Run(b.Context())
				<-time.After(5 * time.Second)
				begun, before, told, cpu := time.Now(), served.Load(), news.Load(), cpuTime(b)
				b.ResetTimer()
				for range b.N {
					<-time.After(measured)
				}
				took := time.Since(begun)
				var memory runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&memory)
				b.ReportMetric(float64(served.Load()-before)/took.Seconds(), "questions/s")
				b.ReportMetric((cpuTime(b)-cpu).Seconds()/took.Minutes(), "cpu-s/min")
				b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
				b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "heap-MiB")
				b.ReportMetric(float64(memory.StackInuse)/(1<<20), "stack-MiB")
				b.ReportMetric(float64(news.Load()-told), "changes")
				b.ReportMetric(float64(p.Suspected()), "suspected")
			})
		}
	}
}

// benchmarkServer answers TCP and HTTP at the lowest cost.
func benchmarkServer(b *testing.B) (port uint16, served *atomic.Int64) {
	b.Helper()
	served = &atomic.Int64{}
	var config net.ListenConfig
	listener, err := config.Listen(b.Context(), "tcp4", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				served.Add(1)
			}
		},
	}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { server.Close() })
	return netip.MustParseAddrPort(listener.Addr().String()).Port(), served
}

// cpuTime returns the CPU time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
