package scale

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// measure measures the parts with a load. If elections are not served in time, it leaves
// the parts out that would follow.
func (s *stage) measure(ctx context.Context, load results.Load, routing string, measured func(part string, r results.Run)) error {
	all := elections(load)
	s.say("%s, %s: creating %d pods on %d nodes", load, routing, candidates*len(all), load.Nodes)
	if err := playNodes(ctx, s.client, load.Nodes); err != nil {
		return err
	}
	namespaces := map[string]bool{}
	for _, of := range all {
		if !namespaces[of.Namespace] {
			namespaces[of.Namespace] = true
			if err := createNamespace(ctx, s.client, of.Namespace); err != nil {
				return err
			}
		}
	}
	if err := createPods(ctx, s.client, all, load.Nodes); err != nil {
		return err
	}
	err := s.part(ctx, results.OptIn, s.OptIn, measured, func(r *results.Run) error { return s.optIn(ctx, all, routing, r) })
	if err == nil && s.Rest {
		err = s.part(ctx, results.Rest, true, measured, func(*results.Run) error { return s.wait(ctx, s.RestTime) })
	}
	if err == nil && s.Restart {
		err = s.part(ctx, results.Restart, true, measured, func(r *results.Run) error { return s.restart(ctx, r) })
	}
	for _, n := range s.Failures {
		if err == nil && n <= len(all) {
			err = s.failover(ctx, all, n, measured)
		}
	}
	if errors.Is(err, errUnserved) {
		s.say("%s, %s: %v in time", load, routing, err)
		return nil
	}
	return err
}

// part measures what the replicas need while f runs and until they are at rest.
func (s *stage) part(ctx context.Context, name string, wanted bool, measured func(string, results.Run), f func(*results.Run) error) error {
	s.say("%s begins", name)
	before := s.audit.requests()
	var began [replicas]float64
	for i, r := range s.replicas {
		if err := resetPeak(r); err != nil {
			return err
		}
		var err error
		if began[i], err = cpu(r); err != nil {
			return err
		}
	}
	running := s.replicas
	var run results.Run
	failed := f(&run)
	if failed != nil && !errors.Is(failed, errUnserved) {
		return failed
	}
	if failed == nil && name != results.Rest {
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	for i, r := range s.replicas {
		// A part that starts a replica is about that one.
		if s.replicas != running && r == running[i] {
			continue
		}
		peak, err := peakMB(r)
		if err != nil {
			return fmt.Errorf("replica %d has ended: %w", i+1, err)
		}
		spent, err := cpu(r)
		if err != nil {
			return err
		}
		if r == running[i] {
			spent -= began[i]
		}
		run.PeakMB, run.CPUSeconds = max(run.PeakMB, peak), max(run.CPUSeconds, spent)
	}
	var err error
	if run.Goroutines, err = goroutines(ctx, s.replicas[0]); err != nil {
		return err
	}
	run.Watches = s.audit.open() / replicas
	run.Requests = since(before, s.audit.requests())
	if wanted {
		measured(name, run)
	}
	return failed
}

// atRest is how long no request has ended when the controller is at rest.
const atRest = 2 * time.Second

// settle waits until the controller is at rest, but not for ever: what is never at rest
// shows in the part rest.
func (s *stage) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	for min(s.audit.quiet(), time.Since(began)) < atRest {
		if err := s.wait(ctx, 100*time.Millisecond); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				s.say("the controller is not at rest after a minute")
				return nil
			}
			return err
		}
	}
	return nil
}

func (s *stage) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (s *stage) optIn(ctx context.Context, all []election, routing string, r *results.Run) error {
	caused := causes{at: map[election]time.Time{}, former: map[election]string{}}
	err := each(ctx, len(all), func(ctx context.Context, i int) error {
		caused.add(all[i], "")
		return createService(ctx, s.client, service(all[i], routing))
	})
	if err != nil {
		return err
	}
	return s.await(ctx, &caused, r)
}

// restart kills the first replica, and starts it anew. It has started when it says that it
// is ready.
func (s *stage) restart(ctx context.Context, r *results.Run) error {
	s.replicas[0].Kill()
	began := time.Now()
	if err := s.start(ctx, 0); err != nil {
		return err
	}
	for {
		ready, err := get(ctx, s.replicas[0], "/readyz")
		if err != nil {
			return err
		}
		if ready == "ok\n" {
			r.StartMS = milliseconds(time.Since(began))
			return nil
		}
		if err := s.wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *stage) failover(ctx context.Context, all []election, n int, measured func(string, results.Run)) error {
	caused := causes{at: map[election]time.Time{}, former: map[election]string{}}
	err := s.part(ctx, results.Failover(n), true, measured, func(r *results.Run) error {
		if n > 1 {
			return s.fail(ctx, chosen(all, n), &caused, r)
		}
		for _, of := range chosen(all, oneByOne) {
			if err := s.fail(ctx, []election{of}, &caused, r); err != nil {
				return err
			}
			// What nobody waits for must not delay the next.
			if err := s.wait(ctx, time.Second); err != nil {
				return err
			}
		}
		return nil
	})
	// Even of a load that is given up: the pods must be what they were.
	recovered := s.recover(ctx, &caused)
	if err != nil {
		return err
	}
	return recovered
}

// oneByOne is how many masters fail one after another where one fails at once: the time of a single
// failover is chance.
const oneByOne = 10

// chosen returns n of the elections, or all, from first to last.
func chosen(all []election, n int) (of []election) {
	n = min(n, len(all))
	for i := range n {
		of = append(of, all[i*len(all)/n])
	}
	return of
}

// fail lets the masters of the elections fail at once, and waits until they are served.
func (s *stage) fail(ctx context.Context, of []election, caused *causes, r *results.Run) error {
	err := each(ctx, len(of), func(ctx context.Context, i int) error {
		holder := s.sights.holder(of[i])
		caused.add(of[i], holder)
		return setReady(ctx, s.client, of[i].Namespace, holder, false)
	})
	if err != nil {
		return err
	}
	return s.await(ctx, caused, r)
}

// recover makes the former masters Ready again, and waits until the controller is at rest.
func (s *stage) recover(ctx context.Context, caused *causes) error {
	var failed []election
	for of := range caused.former {
		failed = append(failed, of)
	}
	err := each(ctx, len(failed), func(ctx context.Context, i int) error {
		return setReady(ctx, s.client, failed[i].Namespace, caused.former[failed[i]], true)
	})
	if err != nil {
		return err
	}
	return s.settle(ctx)
}

// causes are when each election was given something to do, and which pod was its master.
type causes struct {
	lock   sync.Mutex
	at     map[election]time.Time
	former map[election]string
}

func (c *causes) add(of election, former string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.at[of], c.former[of] = time.Now(), former
}

// builtIn is how much longer it may take for each election: Kubernetes' own EndpointSlice controller may
// have to write twice, and does so twenty times in a second.
const builtIn = 100 * time.Millisecond

// await waits until all elections that were given something to do are served, and takes
// their times.
func (s *stage) await(ctx context.Context, caused *causes, r *results.Run) error {
	var leases, slices []float64
	var lastCause, lastServed time.Time
	for _, at := range caused.at {
		if at.After(lastCause) {
			lastCause = at
		}
	}
	waiting := maps.Clone(caused.at)
	report := time.Now().Add(every)
	giveUp := time.Now().Add(s.Patience + time.Duration(len(caused.at))*builtIn)
	for len(waiting) > 0 {
		for of, at := range waiting {
			held, published, served := s.sights.served(of, caused.former[of])
			if !served {
				continue
			}
			delete(waiting, of)
			leases, slices = append(leases, milliseconds(held.Sub(at))), append(slices, milliseconds(published.Sub(at)))
			if published.After(lastServed) {
				lastServed = published
			}
		}
		now := time.Now()
		if now.After(giveUp) {
			break
		}
		if now.After(report) {
			report = now.Add(every)
			s.say("%d of %d served", len(caused.at)-len(waiting), len(caused.at))
		}
		if err := s.wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	r.Lease, r.Slice, r.Unserved = results.Of(leases), results.Of(slices), len(waiting)
	if !lastServed.IsZero() {
		r.LastMS = max(0, milliseconds(lastServed.Sub(lastCause)))
	}
	if len(waiting) > 0 {
		return errUnserved
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Round(100*time.Microsecond)) / 1e6 }
