package probe

import (
	"testing"
	"time"
)

// While this process reaches no pod, a standby with a longer timeout than the master's answers only
// later than the master had to.
func TestBlackoutWithLongerTimeoutOfStandby(t *testing.T) {
	pods := wanting("a", "b")
	pods[1].Probe.Timeout = 10 * time.Second
	var own link
	var moved, suspected bool
	var p *Prober
	look := make(chan struct{}, 1000)
	asking(t, []*link{&own}, func(int) { look <- struct{}{} }, func(t *testing.T, probers []*Prober) {
		t.Helper()
		p, look = probers[0], make(chan struct{}, 1000)
		run := func(d time.Duration) {
			for end := time.After(d); ; {
				select {
				case <-end:
					return
				case <-look:
					suspected = suspected || p.State(web, "a") == Suspected
					moved = moved || unjust(p, pods) != ""
				}
			}
		}
		own.set("a", "b")
		for phase := range 25 {
			// A silence before would make it patient.
			p.Want(web, nil)
			p.Want(web, pods)
			run(10*time.Second + time.Duration(phase)*10*ms)
			own.set()
			run(900 * ms)
			own.set("a", "b")
			run(5 * time.Second)
		}
	})
	if moved {
		t.Error("a pod was to replace the master")
	}
	if !suspected {
		t.Error("the master was never suspected, so that this tests nothing")
	}
}
