//go:build integration

package integration

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/install"
)

// responsive is how fast an API server answers that keeps up with the renewals. A
// renewal is due 5 s after the former, or up to 1.25 s later if that was the other
// replica's, and comes too late after 10 s. Where even a trivial request takes longer
// than this, that is the machine's.
const responsive = time.Second / 2

// machine measures, until the function that it returns is called, how long the API
// server takes at most to answer.
func (b *renewals) machine() (slowest func() time.Duration) {
	ctx, cancel := context.WithCancel(b.Context())
	result := make(chan time.Duration)
	go func() {
		longest := time.Duration(0)
		for ctx.Err() == nil {
			asked := time.Now()
			_, err := client.CoreV1().Namespaces().Get(ctx, b.namespaces[0], metav1.GetOptions{})
			if err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			longest = max(longest, time.Since(asked))
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		result <- longest
	}()
	return func() time.Duration {
		cancel()
		return <-result
	}
}

// judge fails the test, unless the machine is too slow to tell.
func (b *renewals) judge(format string, args ...any) {
	b.Helper()
	if problem := fmt.Sprintf(format, args...); b.slowest < responsive {
		b.Error(problem)
	} else {
		b.Logf("not judged, as the API server took %s to answer: %s", b.slowest.Round(time.Millisecond), problem)
	}
}

// rate compares how many renewals there were with how many there are to be.
func (b *renewals) rate() {
	b.Helper()
	count := 0
	for _, times := range b.renewed {
		for _, at := range times {
			if b.counted(at) {
				count++
			}
		}
	}
	got, want := float64(count)/renewedObserved.Seconds(), float64(len(b.renewed))/renewedInterval.Seconds()
	b.Logf("%d Leases were renewed %d times in %s, %.1f times in a second; by their duration it is %.1f", len(b.renewed), count, renewedObserved, got, want)
	if got < 0.9*want || got > 1.1*want {
		b.judge("%.1f renewals in a second, want %.1f", got, want)
	}
}

// evenness checks how the renewals are spread over the interval, all intervals laid
// over each other. Each Lease has a moment of its own in it, which is as good as
// random: of 1,000 there are in each of five seconds 200, with a standard deviation of
// 13, so that 300 is beyond chance; and of the 50 of a namespace, whose names are much
// alike, there are 10, with one of 3, so that half of them is. A machine that is busy
// for a second shifts those of one interval among six, which is why the seconds
// themselves are only logged.
func (b *renewals) evenness() {
	b.Helper()
	seconds := int(renewedInterval / time.Second)
	all, inAll, in := make([]int, int(renewedObserved/time.Second)), make([]int, seconds), map[string][]int{}
	for name, times := range b.renewed {
		if in[name.Namespace] == nil {
			in[name.Namespace] = make([]int, seconds)
		}
		for _, at := range times {
			if b.counted(at) {
				second := int(at.Sub(at.Truncate(renewedInterval)) / time.Second)
				inAll[second]++
				in[name.Namespace][second]++
				all[int(at.Sub(b.began)/time.Second)]++
			}
		}
	}
	b.Logf("renewals in a second: from %d to %d; in each second of an interval, of all intervals: %v", slices.Min(all), slices.Max(all), inAll)
	if slices.Max(inAll)*2*seconds > 3*sum(inAll) {
		b.Errorf("renewals are not spread evenly: in each second of an interval there are %v", inAll)
	}
	for namespace, counts := range in {
		if slices.Max(counts)*2 > sum(counts) {
			b.Errorf("renewals of one namespace, %s, are not spread evenly: in each second of an interval there are %v", namespace, counts)
		}
	}
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// gaps checks that no application which believes in its Lease for two thirds of its
// duration would have lost that belief.
func (b *renewals) gaps() {
	b.Helper()
	longest, late := time.Duration(0), 0
	for _, times := range b.renewed {
		// The last one may just not have ended.
		for i, at := range append(times[1:len(times):len(times)], b.began.Add(renewedObserved)) {
			gap := at.Sub(times[i])
			if gap >= renewedDuration*2/3 {
				late++
			}
			longest = max(longest, gap)
		}
	}
	b.Logf("the longest time from one renewal to the next was %s; the API server took up to %s to answer", longest.Round(time.Millisecond), b.slowest.Round(time.Millisecond))
	if late > 0 {
		b.judge("%d renewals came %s or more after the former", late, renewedDuration*2/3)
	}
}

// conflicts checks that the replicas leave the renewals to each other: one waits for
// the other by up to a quarter of an interval, another time for each Lease. If none
// did, there would be a conflict for each renewal. How few there are depends on how
// fast the one hears of the other's.
func (b *renewals) conflicts() {
	b.Helper()
	codes := map[int]int{}
	for _, r := range assert.Must(requests(b.began))(b) {
		if r.Verb == "update" && r.ObjectRef.Resource == "leases" && slices.Contains(b.namespaces, r.ObjectRef.Namespace) {
			codes[r.ResponseStatus.Code]++
		}
	}
	b.Logf("answers to writes of Leases: %v", codes)
	if codes[http.StatusConflict] > codes[http.StatusOK]/2 {
		b.judge("%d of the writes ended in a conflict, %d did not", codes[http.StatusConflict], codes[http.StatusOK])
	}
}

// cpu is how much of it the replicas have used, by their own metrics.
func cpu(t *testing.T) (used [len(running)]time.Duration) {
	t.Helper()
	for i, r := range running {
		used[i] = cpuOf(t, r)
	}
	return used
}

func cpuOf(t *testing.T, r *install.Replica) time.Duration {
	t.Helper()
	response, err := http.Get("http://" + r.Address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); found {
			return time.Duration(assert.Must(strconv.ParseFloat(text, 64))(t) * float64(time.Second))
		}
	}
	t.Fatalf("%s does not say how much CPU it has used: %v", r.Address, lines.Err())
	return 0
}
