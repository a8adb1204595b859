package probe

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const ms = time.Millisecond

var web = types.NamespacedName{Namespace: "default", Name: "web"}

// The ways in which a pod answers.
var (
	well     = func(context.Context) error { return after1ms(nil) }
	badly    = func(context.Context) error { return after1ms(errNo) }
	hang     = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	after1ms = func(err error) error { <-time.After(ms); return err }
)

// probed is a prober in a bubble, with the pods that it asks and what it has told.
type probed struct {
	*testing.T
	*Prober
	cancel func()
	done   chan struct{}

	lock  sync.Mutex
	begun time.Time
	// pods has how each pod answers, by address.
	pods map[string]func(context.Context) error
	// claims has the priority that each pod claims, by address.
	claims map[string]string
	// asked has when each pod was asked, in milliseconds since the beginning, by address.
	asked map[string][]int
	told  []string
}

// prober runs a test with a prober that runs until the test ends.
func prober(t *testing.T, test func(p *probed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &probed{T: t, begun: time.Now(), pods: map[string]func(context.Context) error{}, claims: map[string]string{}, asked: map[string][]int{}, done: make(chan struct{})}
		p.Prober = New(p.changed)
		p.ask = p.answer
		ctx, cancel := context.WithCancel(t.Context())
		p.cancel = cancel
		go func() {
			defer close(p.done)
			p.Prober.Run(ctx)
		}()
		synctest.Wait()
		test(p)
		cancel()
		<-p.done
	})
}

// changed records the states at that time.
func (p *probed) changed(key types.NamespacedName) {
	p.lock.Lock()
	defer p.lock.Unlock()
	var states []string
	for _, uid := range p.wanted(key) {
		states = append(states, fmt.Sprintf("%s=%s", uid, p.State(key, uid)))
	}
	now := fmt.Sprintf("%d %s ", p.now(), key.Name)
	// Several changes may be told in the same moment, in any order. The last one has the
	// states that count.
	if last := len(p.told) - 1; last >= 0 && strings.HasPrefix(p.told[last], now) {
		p.told = p.told[:last]
	}
	p.told = append(p.told, now+strings.Join(states, " "))
}

// wanted returns the pods of an election that are probed, in order.
func (p *probed) wanted(key types.NamespacedName) []types.UID {
	p.Prober.lock.Lock()
	defer p.Prober.lock.Unlock()
	g, found := p.groups[key]
	if !found {
		return nil
	}
	return slices.Sorted(maps.Keys(g.pods))
}

// now is the time in milliseconds since the beginning.
func (p *probed) now() int { return int(time.Since(p.begun).Milliseconds()) }

// answer takes the place of ask: it records the question, and answers as the pod does.
func (p *probed) answer(ctx context.Context, address string, _ api.Probe) (claim string, err error) {
	p.lock.Lock()
	p.asked[address] = append(p.asked[address], p.now())
	answer, claim := p.pods[address], p.claims[address]
	p.lock.Unlock()
	return claim, answer(ctx)
}

// answers sets how the pods at the addresses answer from now on.
func (p *probed) answers(answer func(context.Context) error, addresses ...string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, address := range addresses {
		p.pods[address] = answer
	}
}

// claim sets the priority that the pod at the address claims from now on.
func (p *probed) claim(address, priority string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.claims[address] = priority
}

// pass lets time pass.
func (p *probed) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// forget forgets what was asked and told, and begins to count the time anew.
func (p *probed) forget() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.asked, p.told, p.begun = map[string][]int{}, nil, time.Now()
}

// until returns how long it is until a pod of web is asked.
func (p *probed) until(pod types.UID) time.Duration {
	p.Prober.lock.Lock()
	defer p.Prober.lock.Unlock()
	g := p.groups[web]
	return time.Until(g.due(g.pods[pod]))
}

// news returns what was told.
func (p *probed) news() []string {
	p.lock.Lock()
	defer p.lock.Unlock()
	return slices.Clone(p.told)
}

// all returns when each pod was asked, by address.
func (p *probed) all() map[string][]int {
	p.lock.Lock()
	defer p.lock.Unlock()
	all := map[string][]int{}
	for address, asked := range p.asked {
		all[address] = slices.Clone(asked)
	}
	return all
}

// when returns when the pod at an address was asked.
func (p *probed) when(address string) []int { return p.all()[address] }

// gaps returns the times from each question to the pod at an address to the next one.
func (p *probed) gaps(address string) []int {
	asked := p.when(address)
	var gaps []int
	for i := 1; i < len(asked); i++ {
		gaps = append(gaps, asked[i]-asked[i-1])
	}
	return gaps
}

// want fails the test unless the states of the pods a, b, c and so on are these.
func (p *probed) want(states ...State) {
	p.Helper()
	var got []State
	for i := range states {
		got = append(got, p.State(web, types.UID('a'+rune(i))))
	}
	if diff := cmp.Diff(states, got); diff != "" {
		p.Errorf("states after %d ms (-want +got): %s", p.now(), diff)
	}
}

// targets returns targets of these names, with their names as addresses. The first one
// is the master.
func targets(names ...string) (targets []Target) {
	for i, name := range names {
		targets = append(targets, Target{Pod: types.UID(name), Address: name, Probe: probeTCP, Master: i == 0})
	}
	return targets
}

// probing runs a test with a prober whose pods answer: a, which is the master, b and c.
func probing(t *testing.T, test func(p *probed)) {
	t.Helper()
	prober(t, func(p *probed) {
		p.answers(well, "a", "b", "c")
		p.Want(web, targets("a", "b", "c"))
		p.pass(5 * time.Second)
		p.want(Answering, Answering, Answering)
		// The master is asked in a millisecond, and the standbys only after its timeout.
		for until := p.until("a"); ; until = p.until("a") {
			if until == ms && min(p.until("b"), p.until("c")) > 250*ms {
				break
			}
			p.pass((until+198*ms)%(200*ms) + ms)
		}
		p.forget()
		test(p)
	})
}

func TestRhythm(t *testing.T) {
	prober(t, func(p *probed) {
		p.answers(well, "a", "b")
		p.Want(web, targets("a", "b"))
		p.pass(20 * time.Second)
		p.want(Answering, Answering)
		for _, first := range []int{p.when("a")[0], p.when("b")[0]} {
			if first < 0 || first >= 200 {
				t.Errorf("asked first after %d ms, want one within the interval of 200", first)
			}
		}
		master, standby := p.gaps("a"), p.gaps("b")
		if slices.Min(master) != 200 || slices.Max(master) != 200 || len(master) < 98 {
			t.Errorf("the master is asked every %v ms, want 200", master)
		}
		if slices.Min(standby) < 800 || slices.Max(standby) > 1001 || slices.Min(standby) == slices.Max(standby) || len(standby) < 18 {
			t.Errorf("the standby is asked every %v ms, want four intervals and up to a quarter more", standby)
		}
	})
}

// A master whose answer takes longer than the interval is asked again once the answer, or
// the timeout, has come.
func TestRhythmOfASlowMaster(t *testing.T) {
	prober(t, func(p *probed) {
		slow := targets("a")
		slow[0].Probe.Timeout = 300 * ms
		p.answers(hang, "a")
		p.Want(web, slow)
		p.pass(time.Second)
		p.forget()
		p.pass(3 * time.Second)
		if gaps := p.gaps("a"); slices.Min(gaps) != 300 || slices.Max(gaps) != 300 {
			t.Errorf("asked every %v ms, want 300", gaps)
		}
	})
}

// Run returns when all questions have ended. A question that was broken off shows nothing.
func TestRunEnds(t *testing.T) {
	probing(t, func(p *probed) {
		ended := 0
		p.answers(func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(ms)
			ended++
			return ctx.Err()
		}, "a")
		p.pass(100 * ms)
		p.cancel()
		<-p.done
		if p.now() != 101 || ended != 1 {
			t.Errorf("Run ended after %d ms with %d questions, want 101 and 1", p.now(), ended)
		}
		p.want(Answering, Answering, Answering)
		if err := p.Err(web, "a"); err != nil {
			t.Errorf("a fails because of %v", err)
		}
		p.forget()
		p.Want(web, targets("a", "b", "c", "d"))
		p.pass(3 * time.Second)
		if len(p.all()) > 0 {
			t.Errorf("asked %v after Run", p.all())
		}
	})
}

// The answers of a slow pod take longer than its timeout. It is not suspected, and few
// questions to it are open at a time.
func TestSlowMaster(t *testing.T) {
	probing(t, func(p *probed) {
		open, most := 0, 0
		p.answers(func(ctx context.Context) error {
			p.lock.Lock()
			defer p.lock.Unlock()
			open++
			most = max(most, open)
			p.lock.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(380 * ms):
			}
			p.lock.Lock()
			open--
			return ctx.Err()
		}, "a")
		p.pass(time.Minute)
		if p.State(web, "a") != Answering || most > maxOpen || len(p.when("a")) > 6*60 {
			t.Errorf("a is %s, %d questions were open, and %d were asked in a minute", p.State(web, "a"), most, len(p.when("a")))
		}
		for _, told := range p.news() {
			if strings.Contains(told, "a=Suspected") {
				t.Errorf("told of %q", told)
			}
		}
	})
}

// Questions to a pod that hangs are few, and none of them stays open for ever. All end
// when the pod is gone.
func TestQuestionsEnd(t *testing.T) {
	probing(t, func(p *probed) {
		open := map[int]bool{}
		p.answers(func(ctx context.Context) error {
			p.lock.Lock()
			asked := p.now()
			open[asked] = true
			p.lock.Unlock()
			<-ctx.Done()
			p.lock.Lock()
			defer p.lock.Unlock()
			delete(open, asked)
			return ctx.Err()
		}, "a")
		for range 500 {
			p.pass(10 * ms)
			p.lock.Lock()
			if len(open) > maxOpen {
				t.Errorf("%d questions are open", len(open))
			}
			for asked := range open {
				if since := p.now() - asked; since > 2200 {
					t.Errorf("a question is open for %d ms", since)
				}
			}
			p.lock.Unlock()
		}
		p.Want(web, nil)
		p.pass(ms)
		if len(open) > 0 || p.busy+p.silent > 0 {
			t.Errorf("%d questions are open, %d workers busy", len(open), p.busy+p.silent)
		}
	})
}

// A question that fails because of this process shows nothing, and one that ends without
// an answer is no bad answer.
func TestNoAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(context.Context) error
		fails  bool
	}{
		"this process has no file descriptors":   {func(context.Context) error { return after1ms(os.NewSyscallError("socket", syscall.EMFILE)) }, false},
		"this machine has no memory":             {func(context.Context) error { return after1ms(fmt.Errorf("dialing: %w", syscall.ENOBUFS)) }, false},
		"the pod does not answer in its timeout": {hang, true},
	} {
		t.Run(name, func(t *testing.T) {
			probing(t, func(p *probed) {
				p.Prober.lock.Lock()
				p.busy = patientWorkers
				p.Prober.lock.Unlock()
				p.answers(test.answer, "a")
				p.pass(3 * time.Second)
				p.Prober.lock.Lock()
				defer p.Prober.lock.Unlock()
				if a := p.groups[web].pods["a"]; a.bad > 0 || a.fails > 0 != test.fails || a.suspected != test.fails {
					t.Errorf("a has %d failures, %d bad answers; suspected: %t", a.fails, a.bad, a.suspected)
				}
			})
		})
	}
}
