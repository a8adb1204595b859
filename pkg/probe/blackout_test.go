package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var probeDefault = api.Probe{Scheme: api.ProbeTCP, Port: 80, Interval: 250 * ms, Timeout: 250 * ms, Failures: 2}

// link is the network between a prober and pods that are all fine. It reaches the pods
// at some addresses.
type link struct {
	lock  sync.Mutex
	reach map[string]bool
}

func (l *link) set(reach ...string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.reach = map[string]bool{}
	for _, address := range reach {
		l.reach[address] = true
	}
}

func (l *link) reaches(address string) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.reach[address]
}

// ask gets an answer if the pod can be reached both before and after a millisecond. If
// not, it tries again after 200 ms, and then after twice that, as TCP does.
func (l *link) ask(ctx context.Context, address string, _ api.Probe) (claim string, err error) {
	for again := 200 * ms; ; again *= 2 {
		if l.reaches(address) {
			if <-time.After(ms); l.reaches(address) {
				return "", nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(again):
		}
	}
}

// unjust returns the pod that would replace the master by what the prober knows; empty
// if the master would stay. All pods are fine, so a move would be unjust.
func unjust(p *Prober, pods []Target) (by types.UID) {
	suspected := false
	for _, pod := range pods {
		switch state := p.State(web, pod.Pod); {
		case pod.Master:
			suspected = state == Suspected
		case state == Answering:
			by = pod.Pod
		}
	}
	if !suspected {
		return ""
	}
	return by
}

// asking runs a test with one prober for each link, in a bubble. changed is called with
// the number of the prober that has news.
func asking(t *testing.T, links []*link, changed func(i int), test func(t *testing.T, probers []*Prober)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		var probers []*Prober
		for i, link := range links {
			p := New(func(types.NamespacedName) { changed(i) })
			p.ask = link.ask
			probers = append(probers, p)
			running.Go(func() { p.Run(ctx) })
		}
		test(t, probers)
		cancel()
		running.Wait()
	})
}

// wanting returns targets with the default probe.
func wanting(names ...string) []Target {
	pods := targets(names...)
	for i := range pods {
		pods[i].Probe = probeDefault
	}
	return pods
}

// The master stays while the controller's own network is away, and when it comes back.
func TestBlackout(t *testing.T) {
	const phases = 40
	lasts := []time.Duration{2 * time.Second, 10 * time.Second}
	for d := 100 * ms; d <= time.Second; d += 100 * ms {
		lasts = append(lasts, d)
	}
	pods := wanting("a", "b", "c")
	for _, last := range lasts {
		t.Run(last.String(), func(t *testing.T) {
			moved, suspected := 0, false
			var own link
			var p *Prober
			var lock sync.Mutex
			// The states are looked at after every change, so that no move is missed.
			changed := func(int) {
				lock.Lock()
				defer lock.Unlock()
				suspected = suspected || p.State(web, "a") == Suspected
				if unjust(p, pods) != "" {
					moved++
				}
			}
			asking(t, []*link{&own}, changed, func(t *testing.T, probers []*Prober) {
				t.Helper()
				lock.Lock()
				p = probers[0]
				lock.Unlock()
				own.set("a", "b", "c")
				for phase := range phases {
					// A silence before would make it patient.
					p.Want(web, nil)
					p.Want(web, pods)
					<-time.After(10*time.Second + time.Duration(phase)*250*ms/phases + rand.N(ms))
					for _, pod := range pods {
						if got := p.State(web, pod.Pod); got != Answering {
							t.Fatalf("%s is %q before", pod.Pod, got)
						}
					}
					own.set()
					<-time.After(last)
					own.set("a", "b", "c")
				}
				<-time.After(10 * time.Second)
			})
			if moved > 0 {
				t.Errorf("a pod was to replace the master %d times in %d phases", moved, phases)
			}
			if last > 3*probeDefault.Timeout && !suspected {
				t.Error("the master was never suspected, so that this tests nothing")
			}
		})
	}
}

// Two replicas of the controller that reach different pods do not move the master back
// and forth again and again.
func TestTwoViews(t *testing.T) {
	for name, reach := range map[string][2][]string{
		"the first reaches a standby alone, the second the master alone": {{"b"}, {"a"}},
		"each reaches another pod, and both reach a third":               {{"b", "c"}, {"a", "c"}},
		"the first reaches all pods, the second a standby alone":         {{"a", "b", "c"}, {"b"}},
		"both reach the same standby alone":                              {{"b"}, {"b"}},
		"the first reaches the master alone, the second a standby alone": {{"a"}, {"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			links := []*link{{}, {}}
			var look chan int
			asking(t, links, func(i int) { look <- i }, func(t *testing.T, probers []*Prober) {
				t.Helper()
				look = make(chan int, 1000)
				order, want := wanting("a", "b", "c"), func(order []Target) {
					for _, p := range probers {
						p.Want(web, order)
					}
				}
				var moves []string
				begun := time.Now()
				run := func(d time.Duration) {
					for end := time.After(d); ; {
						select {
						case <-end:
							return
						case i := <-look:
							by := unjust(probers[i], order)
							if by == "" {
								continue
							}
							moves = append(moves, fmt.Sprintf("%s: replica %d, to %s", time.Since(begun), i+1, by))
							for n := range order {
								order[n].Master = order[n].Pod == by
							}
							if want(order); len(moves) == 10 {
								t.Fatalf("the master moves again and again: %v", moves)
							}
							// The Lease has changed, so both replicas look at it.
							for i := range probers {
								look <- i
							}
						}
					}
				}
				links[0].set("a", "b", "c")
				links[1].set("a", "b", "c")
				want(order)
				run(10 * time.Second)
				links[0].set(reach[0]...)
				links[1].set(reach[1]...)
				run(30 * time.Second)
				early := len(moves)
				run(5 * time.Minute)
				if early < 1 || early > 2 || len(moves) > early {
					t.Errorf("the master moved %d times, and then %d times: %v; want once or twice, and then never", early, len(moves)-early, moves)
				}
			})
		})
	}
}

// A master that hangs is suspected within an interval and twice its timeout. To wait for
// the standbys' answers takes no longer.
func TestHangIsFoundInTime(t *testing.T) {
	for range 40 {
		prober(t, func(p *probed) {
			p.answers(well, "a", "b", "c")
			p.Want(web, targets("a", "b", "c"))
			p.pass(5*time.Second + rand.N(time.Second))
			p.forget()
			p.answers(hang, "a")
			p.pass(603 * ms)
			p.want(Suspected, Answering, Answering)
			if got := p.when("a"); len(got) < 2 || got[1]-got[0] > 202 {
				t.Errorf("the master is asked after %v", got)
			}
			if err := p.Err(web, "a"); err == nil || err.Error() != "no answer within 200ms" {
				t.Errorf("a fails because of %v", err)
			}
		})
	}
}
