package probe

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// conditions are those in which pods that are fine answer late.
type conditions struct {
	// usual is the median of how long an answer takes, and spread the sigma of its
	// logarithm.
	usual  time.Duration
	spread float64
	// stall is the mean time between the stalls of a pod; zero if it has none. Stalls take
	// shortest to longest, by a Pareto distribution.
	stall time.Duration
	// busy and calm are how long the pods have stalls and then have none; zero if they
	// always have.
	busy, calm time.Duration
	// one is whether the master alone has stalls.
	one bool
	// loss is how likely it is that a packet is lost.
	loss float64
	// prober is whether the prober's process has stalls of its own.
	prober bool
}

const (
	shortestStall, longestStall = 100 * ms, 1500 * ms
	stallShape                  = 0.9
	// The first retransmissions of Linux.
	connectAgain, requestAgain = time.Second, 210 * ms
)

var uids = []types.UID{"a", "b", "c"}

// fault is how the master fails.
type fault string

const (
	// A process that hangs and a node that dies look alike from outside.
	hung   fault = "hangs or its node dies"
	killed fault = "is killed"
)

// sim is three pods that are probed without sockets, goroutines or a clock.
type sim struct {
	*rand.Rand
	conditions
	api.Probe
	// before is set for the rule of before: a question ends at its timeout, and no pace is
	// kept.
	before bool
	g      *group
	now    time.Time
	// ends are the ends of the questions under way.
	ends []end
	// stalls has the next stall of each pod, and of the prober under the empty UID.
	stalls map[types.UID]*stall
	// failed is the pod that fails since some time.
	failed types.UID
	since  time.Time
	fault
	// moves is when the master moved.
	moves []time.Time
}

// stall is a time in which a process does nothing.
type stall struct{ from, to time.Time }

// end is when a question to a pod ends, and how: without an answer if silent is set.
type end struct {
	at     time.Time
	pod    *pod
	q      *question
	silent bool
	err    error
}

func newSim(seed uint64, c conditions, before bool, probe api.Probe) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), conditions: c, Probe: probe, before: before, g: &group{}, now: start, stalls: map[types.UID]*stall{}}
	for _, uid := range append(uids, "") {
		s.stalls[uid] = &stall{}
	}
	s.master("a")
	for _, uid := range uids {
		s.g.pods[uid].first = start.Add(time.Duration(s.Float64() * float64(probe.Interval)))
	}
	return s
}

// master makes a pod the master.
func (s *sim) master(uid types.UID) {
	targets := pods(uid)
	for i := range targets {
		targets[i].Probe = s.Probe
	}
	s.g.adopt(targets, s.now)
}

// after returns the end of the stall that a moment is in, or else the moment.
func (s *sim) after(uid types.UID, at time.Time) time.Time {
	if s.stall == 0 || uid == "" && !s.prober || uid != "" && s.one && uid != "a" {
		return at
	}
	next := s.stalls[uid]
	for !at.Before(next.to) {
		next.from = later(next.to, start).Add(time.Duration(s.ExpFloat64() * float64(s.stall)))
		if cycle := s.busy + s.calm; cycle > 0 {
			if in := next.from.Sub(start) % cycle; in > s.busy {
				next.from = next.from.Add(cycle - in)
			}
		}
		u := s.Float64()
		l, h := math.Pow(float64(shortestStall), stallShape), math.Pow(float64(longestStall), stallShape)
		next.to = next.from.Add(time.Duration(math.Pow(-(u*h-u*l-h)/(h*l), -1/stallShape)))
	}
	if at.Before(next.from) {
		return at
	}
	return next.to
}

// lost is how long packets are lost for, one way or the other.
func (s *sim) lost(again time.Duration) (total time.Duration) {
	for s.Float64() < 1-(1-s.loss)*(1-s.loss) {
		total += again
		again *= 2
	}
	return total
}

// answer returns the end of a question that is asked now and stays open until last.
func (s *sim) answer(p *pod, q *question, last time.Time) end {
	at := s.now.Add(s.lost(connectAgain) + s.lost(requestAgain) + time.Duration(float64(s.usual)*math.Exp(s.spread*s.NormFloat64())))
	e := end{at: s.after(p.Pod, at), pod: p, q: q}
	if p.Pod == s.failed && !e.at.Before(s.since) {
		e.at, e.err = later(s.now, s.since).Add(ms), errNo
		e.silent = s.fault != killed
	}
	if e.silent || e.at.After(last) {
		e.at, e.silent = last, true
	}
	return e
}

// run lets time pass, until a master that fails is moved.
func (s *sim) run(d time.Duration) {
	for until := s.now.Add(d); s.fault == "" || len(s.moves) == 0; {
		// What comes first: the end of a question, or a look at a pod.
		next, act := until, func() {}
		first := func(at time.Time, do func()) {
			if at = s.after("", later(at, s.now)); at.Before(next) {
				next, act = at, do
			}
		}
		for i, e := range s.ends {
			first(e.at, func() {
				s.ends = slices.Delete(s.ends, i, i+1)
				s.end(e)
			})
		}
		for _, uid := range uids {
			p := s.g.pods[uid]
			first(s.g.next(p, s.now), func() { s.look(p) })
		}
		if s.now = next; next.Equal(until) {
			return
		}
		act()
		if s.before {
			s.g.pace = pace{}
			for _, p := range s.g.pods {
				p.own = pace{}
			}
		}
		s.move()
	}
}

// end hears the answer to a question, or that there is none.
func (s *sim) end(e end) {
	if e.silent {
		s.g.look(e.pod, s.now)
		e.pod.drop(e.q)
		return
	}
	s.g.hear(e.pod, e.q, s.now, e.err)
}

// look does what a worker does.
func (s *sim) look(p *pod) {
	s.g.look(p, s.now)
	if s.g.due(p).After(s.now) {
		return
	}
	p.last, p.slow = s.now, slowness*p.Probe.Interval+time.Duration(s.Float64()*jitter*slowness*float64(p.Probe.Interval))
	q := &question{asked: s.now}
	last := s.now.Add(p.lifetime(!s.before))
	if s.before {
		last = s.now.Add(p.Probe.Timeout)
	}
	p.ask(q)
	s.ends = append(s.ends, s.answer(p, q, last))
}

// move moves the master if the controller would. A pod that alone is starved becomes the
// master again later: otherwise it would be moved once only.
func (s *sim) move() {
	if last := len(s.moves) - 1; s.one && last >= 0 && s.g.master.Pod != "a" && s.now.Sub(s.moves[last]) > 30*time.Second {
		s.master("a")
	}
	if s.g.state(s.g.master) != Suspected {
		return
	}
	for _, uid := range uids {
		if s.g.state(s.g.pods[uid]) == Answering {
			s.moves = append(s.moves, s.now)
			s.master(uid)
			return
		}
	}
}

// detect returns how long it takes to move a master that fails, of many trials in order.
// The conditions have lasted for some minutes then.
func detect(trials int, c conditions, f fault, before bool, probe api.Probe) (times []time.Duration) {
	const tooLong = 30 * time.Second
	for i := range trials {
		s := newSim(uint64(i), c, before, probe)
		s.run(time.Minute)
		// The failures come at all phases between two questions.
		s.run(s.g.due(s.g.master).Sub(s.now) + probe.Interval*time.Duration(2*i+1)/time.Duration(2*trials))
		s.failed, s.since, s.fault, s.moves = s.g.master.Pod, s.now, f, nil
		took := tooLong
		if s.run(tooLong); len(s.moves) > 0 {
			took = s.moves[0].Sub(s.since)
		}
		times = append(times, took)
	}
	slices.Sort(times)
	return times
}

// quantiles returns the median and the ninth decile of ordered times in seconds.
func quantiles(times []time.Duration) string {
	return fmt.Sprintf("%.2f / %.2f s", times[len(times)/2].Seconds(), times[len(times)*9/10].Seconds())
}

var hours = flag.Int("hours", 1, "how many hours TestFalseMoves simulates")

// Fewer masters are moved that are slow. It prints the table of docs/probes.md.
func TestFalseMoves(t *testing.T) {
	calm := conditions{usual: 2 * ms, spread: 0.5}
	starved := conditions{usual: 20 * ms, spread: 1, stall: 3 * time.Second}
	phases, one, both, rare := starved, starved, starved, calm
	phases.busy, phases.calm = time.Minute, 4*time.Minute
	one.one = true
	both.prober = true
	rare.stall = time.Minute
	losing := func(loss float64) conditions {
		c := calm
		c.loss = loss
		return c
	}
	for _, test := range []struct {
		name string
		conditions
		// fewer is how many times fewer false moves there must be; 0 if there must be none.
		fewer float64
	}{
		{"nothing", calm, 0},
		{"each pod stalls once a minute", rare, 1},
		{"all pods are starved", starved, 50},
		{"all pods are starved for a minute in five", phases, 5},
		{"all pods and the controller are starved", both, 50},
		{"the master alone is starved", one, 5},
		{"1 % of packets are lost", losing(0.01), 5},
		{"5 % of packets are lost", losing(0.05), 50},
		{"10 % of packets are lost", losing(0.10), 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var moves [2]int
			var hangs, kills [2]string
			trials := min(10**hours, 50)
			for i, before := range []bool{true, false} {
				s := newSim(1, test.conditions, before, probeTCP)
				s.run(time.Duration(*hours) * time.Hour)
				moves[i] = len(s.moves)
				hangs[i], kills[i] = quantiles(detect(trials, test.conditions, hung, before, probeTCP)), quantiles(detect(trials, test.conditions, killed, before, probeTCP))
			}
			rate := func(moves int) float64 { return float64(moves) / float64(*hours) }
			t.Logf("| %s | %.1f | %.1f | %s | %s | %s | %s |", test.name, rate(moves[0]), rate(moves[1]), hangs[0], hangs[1], kills[0], kills[1])
			if test.fewer == 0 && moves[1] > 0 || float64(moves[1])*test.fewer > float64(moves[0]) {
				t.Errorf("%d false moves, and %d before; want %.0f times fewer", moves[1], moves[0], test.fewer)
			}
		})
	}
}

// A master that fails while all is calm is moved within a tenth of the time of before.
func TestDetectionIsAsFast(t *testing.T) {
	strict, patient, rarely, slowly := probeTCP, probeTCP, probeTCP, probeTCP
	strict.Failures = 1
	patient.Failures = 5
	rarely.Interval = time.Second
	slowly.Timeout = time.Second
	for name, probe := range map[string]api.Probe{
		"interval and timeout 200 ms, 2 failures": probeTCP,
		"interval and timeout 250 ms, 2 failures": probeDefault,
		"one failure suffices":                    strict,
		"five failures are needed":                patient,
		"the interval is longer than the timeout": rarely,
		"the timeout is longer than the interval": slowly,
	} {
		for _, f := range []fault{hung, killed} {
			t.Run(fmt.Sprintf("the master %s; %s", f, name), func(t *testing.T) {
				t.Parallel()
				var took [2][]time.Duration
				for i, before := range []bool{true, false} {
					took[i] = detect(20, conditions{usual: 2 * ms, spread: 0.5}, f, before, probe)
				}
				for _, q := range []int{10, 18, 19} {
					was, is := took[0][q], took[1][q]
					t.Logf("quantile %d of 20: %d ms before, %d ms now", q+1, was.Milliseconds(), is.Milliseconds())
					if is > was*11/10 {
						t.Errorf("quantile %d of 20: %s, and %s before", q+1, is, was)
					}
				}
			})
		}
	}
}
