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
)

// many makes elections of one pod each, the master, with addresses that begin with name.
func (p *probed) many(name string, count int, answer func(context.Context) error) (keys []types.NamespacedName) {
	for i := range count {
		address := fmt.Sprintf("%s%d", name, i)
		p.answers(answer, address)
		key := types.NamespacedName{Namespace: "default", Name: address}
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
