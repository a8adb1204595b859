package probe

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFailover(t *testing.T) {
	for name, test := range map[string]struct {
		b, c func(context.Context) error
		told []string
	}{
		"the standbys confirm": {
			b: well, c: well,
			told: []string{
				"201 web a=Answering b= c=",
				"402 web a=Suspected b=Answering c=Answering",
			},
		},
		"one standby confirms, and the other is suspected too": {
			b: well, c: badly,
			told: []string{
				"201 web a=Answering b= c=",
				"402 web a=Suspected b=Answering c=Suspected",
			},
		},
		"no pod can be reached any longer": {
			b: hang, c: hang,
			told: []string{
				"201 web a=Answering b= c=",
				"402 web a=Suspected b= c=",
				"601 web a=Suspected b=Suspected c=Suspected",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			probing(t, func(p *probed) {
				p.answers(hang, "a")
				p.answers(test.b, "b")
				p.answers(test.c, "c")
				p.pass(3 * time.Second)
				if diff := cmp.Diff(test.told, p.news()); diff != "" {
					t.Errorf("told (-want +got): %s", diff)
				}
				if got := p.when("b"); got[0] > 201 || !slices.Contains(got, 201) {
					t.Errorf("the standby was asked after %v ms, want one at the first failure", got)
				}
			})
		})
	}
}

// If one failure suffices, the standbys answer only after the master is suspected. They
// count once the master has failed again, and that change is told.
func TestFailoverAtTheFirstFailure(t *testing.T) {
	prober(t, func(p *probed) {
		strict := targets("a", "b")
		strict[0].Probe.Failures, strict[1].Probe.Failures = 1, 1
		p.answers(well, "a", "b")
		p.Want(web, strict)
		p.pass(5 * time.Second)
		p.forget()
		p.answers(badly, "a")
		p.pass(time.Second)
		if len(p.news()) != 2 {
			t.Fatalf("told of %v, want two changes", p.news())
		}
		for i, want := range []string{"web a=Suspected b=", "web a=Suspected b=Answering"} {
			if _, got, _ := strings.Cut(p.news()[i], " "); got != want {
				t.Errorf("told of %q, want %q", got, want)
			}
		}
		if got := p.Suspected(); got != 1 {
			t.Errorf("%d pods are suspected, want 1", got)
		}
		if err := p.Err(web, "a"); !errors.Is(err, errNo) {
			t.Errorf("a is suspected because of %v, want %v", err, errNo)
		}
	})
}

// Once the master answers again, the standbys are asked slowly again. Their intervals
// count from the question at the master's failure.
func TestOneFailure(t *testing.T) {
	probing(t, func(p *probed) {
		p.answers(badly, "a")
		p.pass(100 * ms)
		p.answers(well, "a")
		p.pass(5 * time.Second)
		p.want(Answering, Answering, Answering)
		for _, standby := range []string{"b", "c"} {
			if first := p.when(standby)[0]; first != 2 {
				t.Errorf("%s was asked after %d ms first, want at the failure after 2", standby, first)
			}
			gaps := p.gaps(standby)
			// A standby may be asked once more when the master is asked again.
			if gaps[0] == 200 {
				gaps = gaps[1:]
			}
			if slices.Min(gaps) < 800 {
				t.Errorf("%s is asked every %v ms, want 800 to 1000", standby, gaps)
			}
		}
	})
}

// A standby that is being asked when the master fails is asked again at once, because a
// question from before the failure confirms nothing.
func TestStandbyThatIsBeingAsked(t *testing.T) {
	prober(t, func(p *probed) {
		late := func(context.Context) error { <-time.After(150 * ms); return nil }
		p.answers(well, "a")
		p.answers(late, "b")
		p.Want(web, targets("a", "b"))
		p.pass(5 * time.Second)
		// The standby is asked a millisecond before the master.
		p.pass(p.until("b"))
		p.forget()
		p.answers(badly, "a")
		p.Prober.lock.Lock()
		g := p.groups[web]
		g.pods["a"].last = time.Now().Add(-199 * ms)
		p.plan(g.pods["a"])
		p.Prober.lock.Unlock()
		p.pass(2 * ms)
		p.want(Answering, Unknown)
		p.pass(150 * ms)
		p.want(Answering, Unknown)
		p.pass(250 * ms)
		p.want(Suspected, Answering)
		if diff := cmp.Diff([]int{2}, p.when("b")[:1]); diff != "" {
			t.Errorf("the standby is asked after, in milliseconds (-want +got): %s", diff)
		}
	})
}

// Without a master, for example before the first election, the other pods are asked all
// the same.
func TestNoMaster(t *testing.T) {
	probing(t, func(p *probed) {
		p.Want(web, targets("a", "b")[1:])
		p.answers(badly, "b")
		p.pass(5 * time.Second)
		if got := p.State(web, "b"); got != Suspected {
			t.Errorf("b is %q, want Suspected", got)
		}
	})
}

// A pod that becomes the master begins anew: it is asked at once, and as often as a
// master from then on.
func TestMasterMoves(t *testing.T) {
	probing(t, func(p *probed) {
		p.Want(web, targets("b", "a", "c"))
		p.want(Answering, Unknown, Answering)
		p.pass(3 * time.Second)
		if got := p.when("b"); got[0] != 0 || len(got) < 15 {
			t.Errorf("the new master is asked after %v ms, want every 200", got)
		}
		if got := p.when("a"); len(got) > 4 {
			t.Errorf("the old master is asked after %v ms, want every 800 to 1000", got)
		}
		told := []string{"0 web a=Answering b= c=Answering", "1 web a=Answering b=Answering c=Answering"}
		if diff := cmp.Diff(told, p.news()); diff != "" {
			t.Errorf("told (-want +got): %s", diff)
		}
	})
}

// A suspected pod that becomes the master is no longer suspected: a master is suspected
// only after it has answered as the master.
func TestMasterMovesToOneThatFails(t *testing.T) {
	probing(t, func(p *probed) {
		p.answers(badly, "b")
		for p.State(web, "b") != Suspected {
			p.pass(100 * ms)
		}
		p.want(Answering, Suspected, Answering)
		p.forget()
		p.Want(web, targets("b", "a", "c"))
		if diff := cmp.Diff([]string{"0 web a=Answering b= c=Answering"}, p.news()); diff != "" {
			t.Errorf("told (-want +got): %s", diff)
		}
		if got := p.Err(web, "b"); got != nil {
			t.Errorf("b fails because of %v, which was before", got)
		}
		p.pass(time.Second)
		p.want(Answering, Unknown, Answering)
		p.answers(well, "b")
		p.pass(202 * ms)
		p.want(Answering, Answering, Answering)
		p.answers(badly, "b")
		p.pass(401 * ms)
		p.want(Answering, Suspected, Answering)
	})
}
