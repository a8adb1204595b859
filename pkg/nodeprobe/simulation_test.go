package nodeprobe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

const syscallError = syscall.EMFILE

// span is a time in which something is out of order.
type span struct{ from, to time.Time }

func (s span) has(at time.Time) bool { return !at.Before(s.from) && at.Before(s.to) }

// within returns the span that has the time; the zero value if none has.
func within(spans []span, at time.Time) span {
	for _, s := range spans {
		if s.has(at) {
			return s
		}
	}
	return span{}
}

// sky is what is out of order when: all of it is known before the simulation begins.
type sky struct {
	*rand.Rand
	lock sync.Mutex
	// out are the times in which a node is out of reach of the process. dead are those of them in
	// which its kubelet sends no heartbeats.
	out, dead map[string][]span
	// slow are the times in which a node's answers take longer than a new connection may.
	slow map[string][]span
	// away are the times in which the network of the process itself is away, and stalls those in
	// which the process does nothing.
	away, stalls []span
	// loss is how likely a packet is lost.
	loss float64
	// phase is when the kernel asks over a connection, and open has which there are.
	phase map[string]time.Duration
	open  sets.Set[string]
}

// storm makes a sky for that long.
func storm(seed uint64, names []string, loss float64, lasts time.Duration) *sky {
	s := &sky{Rand: rand.New(rand.NewPCG(seed, 1)), out: map[string][]span{}, dead: map[string][]span{}, slow: map[string][]span{}, loss: loss, phase: map[string]time.Duration{}, open: sets.New[string]()}
	begin, end := time.Now().Add(30*time.Second), time.Now().Add(lasts)
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(s.Float64()*float64(to-from)) }
	for _, name := range names {
		s.phase[name] = between(0, interval)
		// It stands still, now and then.
		for at := begin.Add(between(0, 30*time.Second)); at.Before(end); at = at.Add(between(5*time.Second, time.Minute)) {
			s.out[name] = append(s.out[name], span{at, at.Add(between(100*time.Millisecond, 2900*time.Millisecond))})
		}
		// The network to it is slow, now and then.
		for at := begin.Add(between(0, 2*time.Minute)); at.Before(end); at = at.Add(between(time.Minute, 5*time.Minute)) {
			s.slow[name] = append(s.slow[name], span{at, at.Add(between(time.Second, time.Minute))})
		}
	}
	// Nodes die, one at a time, or are cut off from the process alone.
	for at := begin.Add(between(0, time.Minute)); at.Before(end); at = at.Add(between(2*time.Minute, 4*time.Minute)) {
		name, gone := names[s.IntN(len(names))], span{at, at.Add(between(10*time.Second, 90*time.Second))}
		s.out[name] = append(s.out[name], gone)
		if s.IntN(3) > 0 {
			s.dead[name] = append(s.dead[name], gone)
		}
	}
	for at := begin.Add(between(0, time.Minute)); at.Before(end); at = at.Add(between(30*time.Second, 3*time.Minute)) {
		s.away = append(s.away, span{at, at.Add(between(100*time.Millisecond, 20*time.Second))})
	}
	for at := begin.Add(between(0, time.Minute)); at.Before(end); at = at.Add(between(30*time.Second, 3*time.Minute)) {
		s.stalls = append(s.stalls, span{at, at.Add(between(100*time.Millisecond, 10*time.Second))})
	}
	return s
}

// reaches reports whether a packet comes to a node and an answer back.
func (s *sky) reaches(name string, at time.Time) bool {
	for _, spans := range [][]span{s.out[name], s.away} {
		if within(spans, at) != (span{}) {
			return false
		}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.Float64() >= 1-(1-s.loss)*(1-s.loss)
}

// stall waits while the process does nothing.
func (s *sky) stall() {
	if now := time.Now(); within(s.stalls, now) != (span{}) {
		<-time.After(within(s.stalls, now).to.Sub(now))
	}
}

// Held has the sign of life of the latest question that the kernel has asked each second. The
// kernel goes on while the process does nothing.
func (s *sky) Held(name string, now time.Time) (time.Time, bool) {
	s.stall()
	s.lock.Lock()
	held := s.open.Has(name)
	s.lock.Unlock()
	at := now.Truncate(interval).Add(s.phase[name])
	if at.After(now) {
		at = at.Add(-interval)
	}
	for ; held && now.Sub(at) <= 4*interval; at = at.Add(-interval) {
		answer := at
		if within(s.slow[name], at) != (span{}) {
			answer = at.Add(2 * attempt)
		}
		if !answer.After(now) && s.reaches(name, at) {
			return answer, now.Sub(answer) <= interval+slack
		}
	}
	return time.Time{}, false
}

func (s *sky) Connect(ctx context.Context, name string, _ netip.AddrPort) error {
	defer s.stall()
	if within(s.slow[name], time.Now()) == (span{}) && s.reaches(name, time.Now()) {
		if <-time.After(time.Millisecond); s.reaches(name, time.Now()) {
			s.lock.Lock()
			defer s.lock.Unlock()
			s.open.Insert(name)
			return nil
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *sky) Release(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.open.Delete(name)
}

// Heard has a heartbeat every 10 s of a node that is not dead.
func (s *sky) Heard(name string) time.Time {
	at := time.Now().Truncate(10 * interval).Add(7 * s.phase[name])
	for at.After(time.Now()) || within(s.dead[name], at) != (span{}) {
		at = at.Add(-10 * interval)
	}
	return at
}

// Read fails while the network of the process is away.
func (s *sky) Read(context.Context, string) error {
	if within(s.away, time.Now()) != (span{}) {
		return context.DeadlineExceeded
	}
	return nil
}

// outage returns since when a node has been out of reach, but for a second now and then; the zero
// time if it is not.
func (s *sky) outage(name string, at time.Time) time.Time {
	since := time.Time{}
	for again := true; again; {
		again = false
		for _, o := range s.out[name] {
			if o.has(at) && (since.IsZero() || o.from.Before(since)) {
				since, at, again = o.from, o.from.Add(-interval), true
			}
		}
	}
	return since
}

// lately tells what was out of order in the last ten seconds.
func (s *sky) lately(name string, now time.Time) (what []string) {
	for kind, spans := range map[string][]span{"out": s.out[name], "dead": s.dead[name], "slow": s.slow[name], "away": s.away, "stall": s.stalls} {
		for _, o := range spans {
			if o.from.Before(now) && o.to.After(now.Add(-10*time.Second)) {
				what = append(what, fmt.Sprintf("%s %.1f to %.1f s", kind, o.from.Sub(now).Seconds(), o.to.Sub(now).Seconds()))
			}
		}
	}
	return what
}

// disturbed reports whether the process or its network was out of order in that time, or more than a node.
func (s *sky) disturbed(name string, from, to time.Time) bool {
	for other, spans := range s.out {
		if other == name {
			continue
		}
		for _, o := range spans {
			if o.from.Before(to) && o.to.After(from) {
				return true
			}
		}
	}
	return slices.ContainsFunc(append(slices.Clone(s.away), s.stalls...), func(o span) bool { return o.from.Before(to) && o.to.After(from) })
}

// No node is taken for dead that was out of reach for less than 3 s, whatever happens to the process and
// its network, unless packets are lost too. A node that dies alone is found dead within 6.5 s, or 8 s if packets are
// lost.
func TestStorm(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 20} {
		for seed := range uint64(4) {
			loss := float64(seed) * 0.01
			t.Run(fmt.Sprintf("%d nodes, seed %d, %.0f %% of packets are lost", nodes, seed, 100*loss), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { ride(t, seed, nodes, loss) })
			})
		}
	}
}

// ride lets an hour pass, and looks at all nodes ten times a second.
func ride(t *testing.T, seed uint64, nodes int, loss float64) {
	t.Helper()
	const hour = time.Hour
	limit, unseen := 6500*time.Millisecond, interval+slack
	if loss > 0 {
		// The others are silent for a moment, too, and a node that is back is not seen at once.
		limit, unseen = 8*time.Second, 2*interval+slack
	}
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprint("node-", i))
	}
	s := storm(seed, names, loss, hour)
	p := New(5*time.Second, func(string) (string, uint16) { return "10.0.0.1", 10250 }, s, func(string) {})
	p.Network = s
	// Each node has a master.
	for _, name := range names {
		p.Want(types.NamespacedName{Name: name}, sets.New(names...), name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	dead, found, due := map[string]bool{}, 0, 0
	var wrong []string
	end := time.Now().Add(hour)
	for time.Now().Before(end) {
		<-time.After(interval / 10)
		now := time.Now()
		for _, name := range names {
			is, since := p.Silent(types.NamespacedName{Name: name}, name, name), s.outage(name, now)
			lasts := now.Sub(since)
			p.lock.Lock()
			died := p.detector.nodes[name].dead
			p.lock.Unlock()
			if is && !died {
				t.Errorf("%s is silent, although it is not dead", name)
			}
			if died && !dead[name] {
				found++
				// It may have come back just now.
				if before := s.outage(name, now.Add(-unseen)); since.IsZero() && !before.IsZero() {
					since, lasts = before, now.Sub(before)
				}
				if since.IsZero() || lasts < 3*time.Second {
					wrong = append(wrong, fmt.Sprintf("%s is dead, although it was out of reach for %s only; lately %s", name, lasts, s.lately(name, now)))
				}
			}
			if dead[name] = died; is || since.IsZero() || lasts < limit || lasts > limit+interval/5 {
				continue
			}
			if within(s.dead[name], now) == (span{}) || s.disturbed(name, since.Add(-2*time.Second), now) {
				continue
			}
			wrong = append(wrong, fmt.Sprintf("%s is not silent, although it died %s ago", name, lasts))
		}
	}
	cancel()
	running.Wait()
	for _, name := range names {
		for _, dead := range s.dead[name] {
			if dead.to.Sub(dead.from) > 7*time.Second && dead.to.Before(end) {
				due++
			}
		}
	}
	t.Logf("%d nodes died, and %d were found dead", due, found)
	// Lost packets can join a short silence of the node with one of the process' network.
	if allowed := map[bool]int{true: 2}[loss > 0]; len(wrong) > allowed {
		t.Errorf("%d things went wrong, %d are allowed:\n%s", len(wrong), allowed, strings.Join(wrong, "\n"))
	}
	if found == 0 {
		t.Error("no node was found dead, so that this tests nothing")
	}
}
