package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// To want the same pods again changes nothing, and no pod is asked sooner.
func TestWantAgain(t *testing.T) {
	probing(t, func(p *probed) {
		for range 60 {
			p.Want(web, targets("a", "b", "c"))
			p.pass(50 * ms)
		}
		p.want(Answering, Answering, Answering)
		if len(p.news()) > 0 || len(p.when("a")) != 15 || len(p.when("b")) > 4 {
			t.Errorf("told of %v; asked after %v", p.news(), p.all())
		}
	})
}

// A pod whose address or probe has changed is Unknown until it answers.
func TestWantAnother(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Target)
		// asked is the address at which the pod is asked from then on.
		asked string
	}{
		"the pod has another address": {func(b *Target) { b.Address = "d" }, "d"},
		"the pod has another probe":   {func(b *Target) { b.Probe.Path = "/" }, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			probing(t, func(p *probed) {
				p.answers(well, "d")
				changed := targets("a", "b", "c")
				test.change(&changed[1])
				p.Want(web, changed)
				if diff := cmp.Diff([]string{"0 web a=Answering b= c=Answering"}, p.news()); diff != "" {
					t.Errorf("told (-want +got): %s", diff)
				}
				p.pass(201 * ms)
				p.want(Answering, Answering, Answering)
				p.forget()
				p.pass(3 * time.Second)
				if got := p.when(test.asked); len(got) < 3 || len(got) > 4 {
					t.Errorf("asked after %v, want every 800 to 1000", p.all())
				}
				if got := p.when("b"); test.asked != "b" && len(got) > 0 {
					t.Errorf("asked at the old address after %v", got)
				}
			})
		})
	}
}

// The answer to a question is dropped if the target is gone by then.
func TestGoneWhileBeingAsked(t *testing.T) {
	probing(t, func(p *probed) {
		p.answers(hang, "a")
		p.pass(100 * ms)
		moved := targets("a", "b", "c")
		moved[0].Address = "d"
		p.answers(hang, "d")
		p.Want(web, moved)
		p.pass(101 * ms)
		if err := p.Err(web, "a"); err != nil {
			t.Errorf("a fails because of %v, which was another address's failure", err)
		}
	})
}

// The answer of a pod that is gone is not told, and the pod is not asked again.
func TestGoneBeforeItAnswers(t *testing.T) {
	probing(t, func(p *probed) {
		p.answers(func(context.Context) error { <-time.After(150 * ms); return nil }, "d")
		p.Want(web, targets("a", "b", "c", "d"))
		for len(p.when("d")) == 0 {
			p.pass(ms)
		}
		p.Want(web, targets("a", "b", "c"))
		p.pass(time.Second)
		if len(p.news()) > 0 || len(p.when("d")) != 1 {
			t.Errorf("told of %v; asked after %v", p.news(), p.all())
		}
	})
}

// Nothing is left of pods that are no longer wanted.
func TestWantNone(t *testing.T) {
	probing(t, func(p *probed) {
		db := types.NamespacedName{Namespace: "default", Name: "db"}
		p.Want(db, nil)
		p.Want(web, targets("a", "b"))
		if diff := cmp.Diff([]types.UID{"a", "b"}, p.wanted(web)); diff != "" {
			t.Errorf("wanted (-want +got): %s", diff)
		}
		p.Want(web, nil)
		p.want(Unknown, Unknown)
		if err := p.Err(web, "a"); err != nil || len(p.groups) > 0 || len(p.news()) > 0 {
			t.Errorf("an error %v, %d elections, and told of %v: want none", err, len(p.groups), p.news())
		}
		p.pass(ms)
		p.forget()
		p.pass(10 * time.Second)
		if len(p.all()) > 0 || p.queue.Len() > 0 {
			t.Errorf("asked %v, and %d queued", p.all(), p.queue.Len())
		}
	})
}

// A pod without an address or a probe is not asked. The empty address is this machine's.
func TestWantWhatCannotBeAsked(t *testing.T) {
	prober(t, func(p *probed) {
		bad := targets("", "b")
		bad[1].Probe = api.Probe{}
		p.Want(web, bad)
		p.pass(time.Second)
		if len(p.all()) > 0 || len(p.groups) > 0 {
			t.Errorf("asked %v of %d elections", p.all(), len(p.groups))
		}
	})
}

// Pods that are wanted before Run are asked from Run on.
func TestWantBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(func(types.NamespacedName) {})
		p.ask = func(context.Context, string, api.Probe) (string, error) { return "", nil }
		p.Want(web, targets("a"))
		<-time.After(time.Second)
		if got := p.State(web, "a"); got != Unknown {
			t.Errorf("a is %q before Run", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx)
		}()
		synctest.Wait()
		if got := p.State(web, "a"); got != Answering {
			t.Errorf("a is %q, want Answering", got)
		}
		cancel()
		<-done
	})
}

// States has every pod of an election but the Unknown ones.
func TestStates(t *testing.T) {
	probing(t, func(p *probed) {
		if got := p.States(types.NamespacedName{Namespace: "default", Name: "db"}); got != nil {
			t.Errorf("an election that is not probed has the states %v, want nil", got)
		}
		p.answers(hang, "a")
		p.answers(badly, "c")
		p.pass(201 * ms)
		states := func(want map[types.UID]State) {
			t.Helper()
			if diff := cmp.Diff(want, p.States(web)); diff != "" {
				t.Errorf("states after %d ms (-want +got): %s", p.now(), diff)
			}
		}
		states(map[types.UID]State{"a": Answering})
		p.pass(201 * ms)
		states(map[types.UID]State{"a": Suspected, "b": Answering, "c": Suspected})
		p.Want(web, targets("d"))
		states(map[types.UID]State{})
	})
}

// Suspected counts the pods of all elections, whatever ends their suspicion.
func TestSuspectedPodsAreCounted(t *testing.T) {
	db := types.NamespacedName{Namespace: "default", Name: "db"}
	for name, test := range map[string]struct {
		then func(p *probed)
		want int
	}{
		"pods of two elections are counted":              {func(*probed) {}, 3},
		"a pod that goes on failing is counted once":     {func(p *probed) { p.pass(10 * time.Second) }, 3},
		"a master that answers again is not counted":     {func(p *probed) { p.answers(well, "a") }, 2},
		"a standby that answers again is not counted":    {func(p *probed) { p.answers(well, "c") }, 2},
		"a pod that is gone is not counted":              {func(p *probed) { p.Want(web, targets("a", "b")) }, 2},
		"a pod with another address is not counted":      {func(p *probed) { p.Want(db, readdressed("d", "e")) }, 2},
		"a pod that becomes the master is not counted":   {func(p *probed) { p.Want(web, targets("c", "b", "a")) }, 2},
		"the pods of an election that ends do not count": {func(p *probed) { p.Want(web, nil) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			probing(t, func(p *probed) {
				p.answers(well, "d", "e")
				p.Want(db, targets("d"))
				p.pass(time.Second)
				p.answers(badly, "a", "c", "d")
				p.pass(2 * time.Second)
				if got := p.Suspected(); got != 3 {
					t.Fatalf("%d pods are suspected before, want 3", got)
				}
				test.then(p)
				p.pass(4 * time.Second)
				if got := p.Suspected(); got != test.want {
					t.Errorf("%d pods are suspected, want %d", got, test.want)
				}
			})
		})
	}
}

// readdressed returns a target of a name that has moved to an address.
func readdressed(name, address string) []Target {
	moved := targets(name)
	moved[0].Address = address
	return moved
}
