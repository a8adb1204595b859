package scale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// victimNamespace is the namespace of the victims alone.
const victimNamespace = "victim"

// victims fail in turns: the master of one election that moved ten times within a minute would wait.
var victims = func() (all []election) {
	for i := range 5 {
		all = append(all, election{Namespace: victimNamespace, Name: fmt.Sprintf("web-%d", i)})
	}
	return all
}()

const (
	// neighbourNodes is how many nodes there are beside those that an attack invents.
	neighbourNodes = 10
	// failovers is how many failovers of the victims are measured, alone and beside an attack.
	failovers = 15
	// pause is the time between two of them.
	pause = 300 * time.Millisecond
	// stopped is how long a failover may take until it counts as one that has stopped. So
	// many of them end the measurement of an attack.
	stopped    = 20 * time.Second
	maxStopped = 3
	// bite is how long an attack goes on before the victim's master fails: its own elections
	// have opted in by then.
	bite = 15 * time.Second
	// asking is the interval of a victim's probe.
	asking = 200 * time.Millisecond
)

// neighbours measures the victims alone and beside each attack. Each attack has a new control
// plane, because some leave more behind than can be cleaned up.
func (o Options) neighbours(ctx context.Context) error {
	for _, a := range attacks {
		if !slices.Contains(o.Attacks, a.Name) {
			continue
		}
		n := results.Neighbour{Attack: a.Name}
		var header results.Header
		err := on(ctx, o, forbidden, func(ctx context.Context, s *stage) (err error) {
			header = s.header
			n.Alone, n.Beside, err = s.attack(ctx, a)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		o.say("%s: alone %s; beside %s; worse: %q", a.Name, n.Alone, n.Beside, n.Worse())
		if err := o.Measured(header, nil, []results.Neighbour{n}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) attack(ctx context.Context, a attack) (alone, beside results.Victim, err error) {
	s.say("%s: %s", a.Name, a.Does)
	if err := playNodes(ctx, s.client, neighbourNodes); err != nil {
		return alone, beside, err
	}
	target, err := listen(ctx)
	if err != nil {
		return alone, beside, err
	}
	if err := createNamespace(ctx, s.client, victimNamespace); err != nil {
		return alone, beside, err
	}
	for _, victim := range victims {
		if err := s.createVictim(ctx, target, victim); err != nil {
			return alone, beside, err
		}
	}
	if err := s.settle(ctx); err != nil {
		return alone, beside, err
	}
	if alone, err = s.failVictims(ctx, target); err != nil {
		return alone, beside, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := createNamespace(ctx, s.client, attacker); err != nil {
		return alone, beside, err
	}
	if err := a.begin(ctx, s, target); err != nil {
		return alone, beside, err
	}
	if err := s.wait(ctx, bite); err != nil {
		return alone, beside, err
	}
	beside, err = s.failVictims(ctx, target)
	return alone, beside, err
}

func (s *stage) createVictim(ctx context.Context, target *target, victim election) error {
	for i := range candidates {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: victim.Namespace, Name: podName(victim.Name, i), Labels: map[string]string{"app": victim.Name}}}
		pod.Spec.NodeName = nodeName(i)
		if err := createPod(ctx, s.client, pod, target.ip); err != nil {
			return err
		}
	}
	service := service(victim, results.EndpointSlice)
	target.probe(service, "/victim", asking)
	if err := createService(ctx, s.client, service); err != nil {
		return err
	}
	for {
		if _, _, served := s.sights.served(victim, ""); served {
			return nil
		}
		if err := s.wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// failVictims measures failovers of the victims.
func (s *stage) failVictims(ctx context.Context, target *target) (v results.Victim, err error) {
	for _, r := range s.replicas {
		if err := resetPeak(r); err != nil {
			return v, err
		}
	}
	livez := s.askLivez(ctx)
	began, asked := time.Now(), target.asked.Load()
	var took []float64
	for v.Stopped < maxStopped && v.Failovers+v.Stopped < failovers && s.alive() == replicas {
		victim := victims[(v.Failovers+v.Stopped)%len(victims)]
		former := s.sights.holder(victim)
		cause := time.Now()
		if err := setReady(ctx, s.client, victim.Namespace, former, false); err != nil {
			return v, err
		}
		published, served := time.Time{}, false
		for !served && time.Since(cause) < stopped {
			if err := s.wait(ctx, 2*time.Millisecond); err != nil {
				return v, err
			}
			_, published, served = s.sights.served(victim, former)
		}
		if served {
			v.Failovers++
			took = append(took, milliseconds(published.Sub(cause)))
		} else {
			v.Stopped++
		}
		if err := setReady(ctx, s.client, victim.Namespace, former, true); err != nil {
			return v, err
		}
		if err := s.wait(ctx, pause); err != nil {
			return v, err
		}
	}
	v.Slice = results.Of(took)
	v.Asked = float64(target.asked.Load()-asked) / time.Since(began).Seconds()
	v.LivezMS = milliseconds(livez())
	v.Killed = replicas - s.alive()
	for _, r := range s.replicas {
		// A replica that has ended has no peak.
		if peak, err := peakMB(r); err == nil {
			v.PeakMB = max(v.PeakMB, peak)
		}
	}
	return v, nil
}

// alive counts the replicas that run.
func (s *stage) alive() (n int) {
	for _, r := range s.replicas {
		select {
		case <-r.Exited():
		default:
			n++
		}
	}
	return n
}

// askLivez asks the replicas for /livez, as kubelet does, until the function that it returns
// is called, which returns the longest time that an answer took.
func (s *stage) askLivez(ctx context.Context) (slowest func() time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	var lock sync.Mutex
	var longest time.Duration
	var asking sync.WaitGroup
	for _, r := range s.replicas {
		asking.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				_, err := get(ctx, r, "/livez")
				if took := time.Since(began); !errors.Is(err, context.Canceled) {
					lock.Lock()
					longest = max(longest, took)
					lock.Unlock()
				}
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
	return func() time.Duration {
		cancel()
		asking.Wait()
		return longest
	}
}
