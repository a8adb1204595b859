package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// many makes elections of one pod each, the master, with addresses that begin with name.
func (p *probed) many(name string, count int, answer func(context.Context) error) (keys []types.NamespacedName) {
	for i := range count {
		address := fmt.Sprintf("%s%d", name, i)
		p.answers(answer, address)
		// So few pods of a namespace never wait for its budget.
		key := types.NamespacedName{Namespace: fmt.Sprint("default-", i/silentNamespaceWorkers), Name: address}
		keys = append(keys, key)
		one := targets("a")
		one[0].Address = address
		p.Want(key, one)
	}
	return keys
}

// count returns how many of the elections' masters are in a state.
func (p *probed) count(keys []types.NamespacedName, state State) (count int) {
	for _, key := range keys {
		if p.State(key, "a") == state {
			count++
		}
	}
	return count
}

// If more pods hang than there are workers, the other pods are asked late, and are not
// blamed for it.
func TestAllWorkersAreBusy(t *testing.T) {
	prober(t, func(p *probed) {
		p.answers(well, "a")
		p.Want(web, targets("a"))
		hanging := p.many("h", 2*workers, well)
		p.pass(5 * time.Second)
		p.forget()
		p.answers(hang, slices.Collect(maps.Keys(p.pods))...)
		p.answers(well, "a")
		p.pass(4 * time.Second)
		if got := p.count(hanging, Suspected); got != len(hanging) || p.Suspected() != got {
			t.Errorf("%d of %d pods that hang are suspected, and %d are counted", got, len(hanging), p.Suspected())
		}
		if late := slices.Max(p.gaps("a")); late <= 200 {
			t.Errorf("the one that answers is asked every %d ms, so that this tests nothing", late)
		}
		if got := p.State(web, "a"); got != Answering || p.count(hanging, Answering) > 0 {
			t.Errorf("the one that answers is %s", got)
		}
		for _, told := range p.news() {
			if strings.Contains(told, " web ") {
				t.Errorf("told of %q", told)
			}
		}
	})
}

// A pod that waits for a worker when the prober ends is no longer asked.
func TestRunEndsWhileAllWorkersAreBusy(t *testing.T) {
	prober(t, func(p *probed) {
		p.many("h", 2*workers, hang)
		p.pass(190 * ms)
		if p.queue.Len() == 0 {
			t.Error("no pod is waiting")
		}
		p.forget()
		p.cancel()
		<-p.done
		if asked := len(p.all()); asked > 0 || p.now() > 0 {
			t.Errorf("%d were asked after the end, which took %d ms", asked, p.now())
		}
	})
}

// Pods that never answer do not keep the others from being asked in time. They are still
// asked themselves, but less often.
func TestSilentPodsWait(t *testing.T) {
	prober(t, func(p *probed) {
		silent := p.many("s", 3*workers/2, hang)
		p.answers(well, "a")
		p.Want(web, targets("a"))
		p.pass(15 * time.Second)
		if got := p.count(silent, NeverAnswered); got != len(silent) {
			t.Fatalf("%d of %d have never answered", got, len(silent))
		}
		p.forget()
		p.pass(10 * time.Second)
		if gaps := p.gaps("a"); slices.Max(gaps) > 200 {
			t.Errorf("the one that answers is asked every %d ms", slices.Max(gaps))
		}
		asked := -len(p.when("a"))
		for _, when := range p.all() {
			asked += len(when)
		}
		if most := silentWorkers * 10 * 5; asked > most || asked < most/2 {
			t.Errorf("the others were asked %d times in 10 s, want nearly %d", asked, most)
		}
		p.answers(well, slices.Collect(maps.Keys(p.pods))...)
		p.pass(10 * time.Second)
		if got := p.count(silent, Answering); got != len(silent) {
			t.Errorf("%d of %d answer", got, len(silent))
		}
		if p.silent != 0 {
			t.Errorf("%d silent pods are being asked", p.silent)
		}
	})
}

// neighbour makes elections of one pod each in a namespace of its own.
func (p *probed) neighbour(count int, asked api.Probe, answer func(context.Context) error) {
	for i := range count {
		address := fmt.Sprint("n", i)
		p.answers(answer, address)
		p.Want(types.NamespacedName{Namespace: "neighbour", Name: address}, []Target{{Pod: "n", Address: address, Master: true, Probe: asked}})
	}
}

// The pods of one namespace do not keep those of another from being asked in time.
func TestNeighbourWithoutAnswers(t *testing.T) {
	for name, answer := range map[string]func(context.Context) error{
		"pods that never answer":      hang,
		"pods that answer after 9 s":  func(context.Context) error { <-time.After(9 * time.Second); return nil },
		"pods that answer well":       well,
		"pods that answer with a no":  badly,
		"pods that fail after a time": func(context.Context) error { <-time.After(time.Second); return errNo },
	} {
		t.Run(name, func(t *testing.T) {
			prober(t, func(p *probed) {
				p.neighbour(600, api.Probe{Scheme: api.ProbeTCP, Port: 1, Interval: api.MinProbeTime, Timeout: api.MaxProbeTimeout, Failures: 100}, answer)
				p.answers(well, "a")
				p.Want(web, targets("a"))
				p.pass(5 * time.Second)
				p.forget()
				p.pass(10 * time.Second)
				if gaps := p.gaps("a"); len(gaps) < 48 || slices.Max(gaps) > 201 {
					t.Errorf("the neighbour's victim is asked %d times in 10 s, and once after %d ms", len(gaps)+1, slices.Max(append(gaps, 0)))
				}
				asked := -len(p.when("a"))
				for _, when := range p.all() {
					asked += len(when)
				}
				if most := (10 + 1) * namespaceRate; asked > most {
					t.Errorf("the neighbour is asked %d times in 10 s, more than %d", asked, most)
				}
				if p.Delayed() == 0 {
					t.Error("no question of the neighbour has waited, so that this tests nothing")
				}
				if n := p.budgets["neighbour"]; n.asked > namespaceWorkers || n.silent > silentNamespaceWorkers || n.groups != 600 {
					t.Errorf("%d questions of the neighbour are under way, %d of them to silent pods", n.asked, n.silent)
				}
			})
		})
	}
}

// What is known of a namespace ends with its last election.
func TestBudgetsEnd(t *testing.T) {
	prober(t, func(p *probed) {
		p.answers(well, "a")
		for range 2 {
			p.Want(web, targets("a"))
			p.pass(time.Second)
			p.Want(web, nil)
			if len(p.budgets) > 0 {
				t.Errorf("%d namespaces are known", len(p.budgets))
			}
		}
	})
}
