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

// What is wanted again changes nothing, and asks nobody sooner.
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

// A pod that is another than before has not answered yet.
func TestWantAnother(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Target)
		// asked is where it is asked from then on.
		asked string
	}{
		"it has another address": {func(b *Target) { b.Address = "d" }, "d"},
		"it has another probe":   {func(b *Target) { b.Probe.Path = "/" }, "b"},
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

// The answer of what is gone meanwhile is dropped.
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
			t.Errorf("it fails because of %v, which another did", err)
		}
	})
}

// Nobody is told of one that answers when it is gone.
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

// Nothing is left of pods that nobody wants.
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
		if err := p.Err(web, "a"); err != nil || len(p.elections) > 0 || len(p.news()) > 0 {
			t.Errorf("an error %v, %d elections, and told of %v: want none", err, len(p.elections), p.news())
		}
		p.pass(ms)
		p.forget()
		p.pass(10 * time.Second)
		if len(p.all()) > 0 || p.queue.Len() > 0 {
			t.Errorf("asked %v, and %d queued", p.all(), p.queue.Len())
		}
	})
}

// A pod without an address or a probe is not asked: the empty address is this host's.
func TestWantWhatCannotBeAsked(t *testing.T) {
	prober(t, func(p *probed) {
		bad := targets("", "b")
		bad[1].Probe = api.Probe{}
		p.Want(web, bad)
		p.pass(time.Second)
		if len(p.all()) > 0 || len(p.elections) > 0 {
			t.Errorf("asked %v of %d elections", p.all(), len(p.elections))
		}
	})
}

// What is wanted before Run is asked from then on.
func TestWantBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(func(types.NamespacedName) {})
		p.ask = func(context.Context, string, api.Probe) error { return nil }
		p.Want(web, targets("a"))
		<-time.After(time.Second)
		if got := p.State(web, "a"); got != Unknown {
			t.Errorf("it is %s before Run", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx)
		}()
		synctest.Wait()
		if got := p.State(web, "a"); got != Answering {
			t.Errorf("it is %q, want Answering", got)
		}
		cancel()
		<-done
	})
}
