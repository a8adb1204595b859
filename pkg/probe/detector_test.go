package probe

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// play lets a detector see events such as "200 look; 201 ask b; 350 good a": at a time in
// milliseconds, a look, or a question with a letter that is asked, answered well (good),
// answered badly (bad), or dropped.
func play(t *testing.T, d *detector, events string) {
	t.Helper()
	questions := map[string]*question{}
	for text := range strings.SplitSeq(events, "; ") {
		var now int
		var do, letter string
		if n, _ := fmt.Sscan(text, &now, &do, &letter); n < 2 {
			t.Fatalf("%q is no event", text)
		}
		switch q := questions[letter]; do {
		case "look":
			d.look(at(now))
		case "ask":
			questions[letter] = &question{asked: at(now)}
			d.ask(questions[letter])
		case "good":
			d.hear(q, at(now), nil, 1)
		case "bad":
			d.hear(q, at(now), errNo, 1)
		case "drop":
			d.drop(q)
		default:
			t.Fatalf("%q is no event", text)
		}
	}
}

func TestDetector(t *testing.T) {
	const answers = "-1000 ask x; -999 good x; "
	// The pod has been silent for 300 ms lately, so it may be for 600 ms.
	const slow = answers + "-600 ask y; -400 look; -300 good y; "
	for name, test := range map[string]struct {
		failures int
		events   string
		// want is the failures since the latest good answer, the bad answers among them,
		// the open questions, and whether the pod is suspected.
		want string
	}{
		"a question within its timeout is no failure":                                 {2, answers + "0 ask a; 199 look", "0 failures, 0 bad, 1 open"},
		"a question stays open past its timeout":                                      {2, answers + "0 ask a; 200 look", "1 failures, 0 bad, 1 open"},
		"a question fails once":                                                       {2, answers + "0 ask a; 200 look; 201 look; 450 look", "1 failures, 0 bad, 1 open"},
		"a timeout that is noticed in time counts":                                    {1, answers + "0 ask a; 225 look", "1 failures, 0 bad, 1 open, suspected"},
		"a timeout does not count if the process was suspended or lacked CPU time":    {1, answers + "0 ask a; 226 look; 230 look", "0 failures, 0 bad, 1 open"},
		"two timeouts in a row make the pod suspected":                                {2, answers + "0 ask a; 200 look; 201 ask b; 401 look", "2 failures, 0 bad, 2 open, suspected"},
		"a late answer ends the failure":                                              {2, answers + "0 ask a; 200 look; 201 ask b; 350 good a", "0 failures, 0 bad, 1 open"},
		"answers that are always late make no pod suspected":                          {2, answers + "0 ask a; 200 look; 201 ask b; 350 good a; 401 look; 402 ask c; 551 good b; 602 look; 603 ask d; 752 good c; 803 look", "1 failures, 0 bad, 1 open"},
		"a late answer ends a suspicion":                                              {2, answers + "0 ask a; 200 look; 201 ask b; 401 look; 450 good a", "0 failures, 0 bad, 1 open"},
		"a late bad answer is a second failure if it was asked after the first":       {2, answers + "0 ask a; 200 look; 201 ask b; 300 bad b", "2 failures, 1 bad, 0 open, suspected"},
		"a bad answer is a failure":                                                   {2, answers + "0 ask a; 1 bad a", "1 failures, 1 bad, 0 open"},
		"two bad answers make the pod suspected":                                      {2, answers + "0 ask a; 1 bad a; 200 ask b; 201 bad b", "2 failures, 2 bad, 0 open, suspected"},
		"two open questions that end badly together are one failure":                  {2, answers + "0 ask a; 100 ask b; 150 bad a; 150 bad b", "1 failures, 1 bad, 0 open"},
		"a question that was asked before a failure was noticed is no second failure": {2, answers + "0 ask a; 100 ask b; 200 look; 300 look", "1 failures, 0 bad, 2 open"},
		"a good answer between bad ones begins anew":                                  {2, answers + "0 ask a; 1 bad a; 200 ask b; 201 good b; 400 ask c; 401 bad c", "1 failures, 1 bad, 0 open"},
		"an answer breaks off the questions before":                                   {2, answers + "0 ask a; 100 ask b; 101 good b", "0 failures, 0 bad, 0 open"},
		"the answer to a question that was broken off does not count":                 {2, answers + "0 ask a; 100 ask b; 101 bad b; 102 good a", "1 failures, 1 bad, 0 open"},
		"a fourth question breaks off the second":                                     {2, answers + "0 ask a; 1 ask b; 2 ask c; 3 ask d; 5 good b; 6 bad a", "1 failures, 1 bad, 2 open"},
		"a question that is dropped shows nothing":                                    {1, answers + "0 ask a; 100 drop a; 200 look", "0 failures, 0 bad, 0 open"},
		"the time since a question that was dropped is no silence":                    {2, answers + "0 ask a; 1 drop a; 1500 ask b; 1501 good b; 2000 ask c; 2200 look; 2201 ask d; 2401 look", "2 failures, 0 bad, 2 open, suspected"},
		"a failure whose question is dropped stays":                                   {2, answers + "0 ask a; 200 look; 201 drop a", "1 failures, 0 bad, 0 open"},
		"a pod that has never answered is not suspected":                              {1, "0 ask a; 200 look; 201 ask b; 202 bad b", "2 failures, 1 bad, 0 open"},
		"a pod that was silent lately is not suspected as soon":                       {2, slow + "0 ask a; 200 look; 201 ask b; 401 look; 402 ask c; 598 look", "2 failures, 0 bad, 3 open"},
		"a pod that was silent lately is suspected after twice that":                  {2, slow + "0 ask a; 200 look; 201 ask b; 401 look; 402 ask c; 600 look", "2 failures, 0 bad, 3 open, suspected"},
		"a pod that was silent lately is suspected after as many bad answers":         {2, slow + "0 ask a; 1 bad a; 200 ask b; 201 bad b", "2 failures, 2 bad, 0 open, suspected"},
		"a bad answer after silence needs the same patience":                          {2, slow + "0 ask a; 200 look; 201 ask b; 202 bad b", "2 failures, 1 bad, 0 open"},
		"the setting is the least that a pod may be silent":                           {2, answers + "-600 ask y; -400 good y; 0 ask a; 200 look; 201 ask b; 400 look", "1 failures, 0 bad, 2 open"},
		"half of a silence is forgotten after five minutes":                           {2, slow + "300000 ask a; 300200 look; 300201 ask b; 300401 look", "2 failures, 0 bad, 2 open, suspected"},
		"a suspicion that a late answer ends makes patient":                           {2, answers + "0 ask a; 200 look; 201 ask b; 401 look; 450 good a; 460 good b; 1000 ask c; 1200 look; 1201 ask d; 1401 look; 1402 ask e; 1602 look; 1800 look", "3 failures, 0 bad, 3 open"},
		"a pod that was dead for longer than an answer may be late was not slow":      {2, answers + "0 ask a; 200 look; 201 ask b; 401 look; 2201 good b; 3000 ask c; 3200 look; 3201 ask d; 3401 look", "2 failures, 0 bad, 2 open, suspected"},
		"the time in which a pod answered badly was no silence":                       {2, answers + "0 ask a; 1 bad a; 900 ask b; 901 good b; 2000 ask c; 2200 look; 2201 ask d; 2401 look", "2 failures, 0 bad, 2 open, suspected"},
		"the time from one answer to the next question is no silence":                 {2, "-5000 ask x; -4999 good x; 0 ask w; 1 good w; 200 ask a; 400 look; 401 ask b; 601 look", "2 failures, 0 bad, 2 open, suspected"},
		"a pod that answers an earlier question is silent from then on":               {2, answers + "0 ask a; 200 look; 201 ask b; 350 good a; 401 look; 402 ask c; 602 look; 1000 look", "2 failures, 0 bad, 2 open"},
	} {
		t.Run(name, func(t *testing.T) {
			probe := probeTCP
			probe.Failures = test.failures
			d := newDetector(probe, nil)
			play(t, &d, test.events)
			got := fmt.Sprintf("%d failures, %d bad, %d open", d.fails, d.bad, len(d.open))
			if d.suspected {
				got += ", suspected"
			}
			if got != test.want {
				t.Errorf("after %s: %s, want %s", test.events, got, test.want)
			}
		})
	}
}

// A detector must be looked at when a timeout or its patience ends.
func TestNextLook(t *testing.T) {
	const slow = "-1000 ask x; -700 good x; "
	for name, test := range map[string]struct {
		events string
		// want is in milliseconds; 0 is never.
		want int
	}{
		"nothing is asked":                      {"-2 ask a; -1 good a", 0},
		"a question is open":                    {"1 ask a", 201},
		"the earlier of two questions ends":     {"1 ask a; 101 ask b", 201},
		"the later of two questions ends":       {"1 ask a; 101 ask b; 201 look", 301},
		"all timeouts have passed":              {"1 ask a; 201 look", 0},
		"enough failures, and patience is left": {slow + "1 ask a; 201 look; 202 ask b; 402 look", 600},
		"the pod is suspected":                  {slow + "1 ask a; 201 look; 202 ask b; 402 look; 600 look", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDetector(probeTCP, nil)
			play(t, &d, test.events)
			got, next := 0, d.next(at(402))
			if !next.IsZero() {
				// A pace is forgotten little by little.
				got = int((next.Sub(start) + ms - 1).Milliseconds())
			}
			if got != test.want {
				t.Errorf("looked at after %d ms, want %d", got, test.want)
			}
		})
	}
}

// If a master was suspected only because it was slow, the pods that follow it get the
// same patience.
func TestPatienceAfterAFalseAlarm(t *testing.T) {
	for name, test := range map[string]struct {
		// answered is when the former master answers the question that made it suspected.
		answered int
		want     time.Duration
	}{
		"it answers after 600 ms":           {900, 1200 * ms},
		"it answers after 2.2 s":            {2500, 4400 * ms},
		"it answers after more, so it hung": {2501, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := after([]exchange{{"a", 100, 101, true}, {"b", 100, 101, true}})
			a := g.pods["a"]
			first, second := &question{asked: at(300)}, &question{asked: at(501)}
			a.ask(first)
			g.look(a, at(500))
			a.ask(second)
			if g.look(a, at(701)); a.state() != Suspected {
				t.Fatalf("a is %s", a.state())
			}
			g.adopt(pods("b"), at(702))
			now := at(test.answered)
			g.hear(a, first, now, nil)
			b := g.pods["b"]
			if got := b.patience(now).Round(10 * ms); got != test.want {
				t.Errorf("the patience with b is %s, want %s", got, test.want)
			}
		})
	}
	t.Run("a pod that becomes the master keeps its own", func(t *testing.T) {
		g := after(nil)
		b := g.pods["b"]
		q := &question{asked: at(100)}
		b.ask(q)
		g.hear(b, q, at(200), nil)
		if g.adopt(pods("b"), at(200)); b.patience(at(200)) != 200*ms || b.answered() {
			t.Errorf("the patience with b is %s, and it has answered: %t", b.patience(at(200)), b.answered())
		}
	})
	t.Run("a standby that is slow takes no patience from the master", func(t *testing.T) {
		g := after([]exchange{{"a", 100, 101, true}, {"b", 100, 101, true}})
		b := g.pods["b"]
		q := &question{asked: at(200)}
		b.ask(q)
		g.look(b, at(400))
		g.hear(b, q, at(900), nil)
		if got := g.pods["a"].patience(at(900)); got > 2*ms {
			t.Errorf("the patience with a is %s", got)
		}
	})
}
