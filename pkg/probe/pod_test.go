package probe

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	start    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	errNo    = errors.New("no")
	probeTCP = api.Probe{Scheme: api.ProbeTCP, Port: 80, Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Failures: 2}
)

// at is the time that many milliseconds after the start.
func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// answer returns the error of an answer that is good or not.
func answer(good bool) error {
	if good {
		return nil
	}
	return errNo
}

// word returns a pod's state in three letters, with a question mark if it is in doubt and
// an exclamation mark if the pod is silent.
func word(p *pod) string {
	word := map[State]string{Unknown: "new", Answering: "yes", Suspected: "sus", NeverAnswered: "nev"}[p.state()]
	if p.inDoubt() {
		word += "?"
	}
	if p.silent() {
		word += "!"
	}
	return word
}

// newPod returns a pod whose probe allows that many failures.
func newPod(failures int) *pod {
	probe := probeTCP
	probe.Failures = failures
	return &pod{Target: Target{Probe: probe}, detector: newDetector(probe, nil)}
}

// answers lets the pod answer a question after a millisecond.
func (p *pod) answers(asked int, err error) {
	q := &question{asked: at(asked)}
	p.ask(q)
	p.hear(q, at(asked+1), err, p.enough())
}

func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		failures int
		// answers are good (+) or not (-), and want has the state after each. An M before
		// the answers makes the pod the master.
		answers, want string
	}{
		"a pod that answers is Answering":                                              {2, "++", "yes,yes"},
		"one failure is a doubt":                                                       {2, "+-", "yes,yes?"},
		"a good answer ends the doubt of one failure":                                  {2, "+-+", "yes,yes?,yes"},
		"as many failures in a row as the probe allows make a pod suspected":           {2, "+--", "yes,yes?,sus!"},
		"two failures that are not in a row do not make a pod suspected":               {2, "+-+-", "yes,yes?,yes,yes?"},
		"a probe may allow four failures":                                              {4, "+----", "yes,yes?,yes?,yes?,sus!"},
		"the first failure makes a pod suspected if its probe allows one":              {1, "+-", "yes,sus!"},
		"a pod that goes on failing stays suspected":                                   {2, "+------------", "yes,yes?,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!"},
		"three good answers end a suspicion":                                           {2, "+--+++", "yes,yes?,sus!,sus?,sus?,yes"},
		"three good answers that are not in a row do not end a suspicion":              {2, "+--++-+++", "yes,yes?,sus!,sus?,sus?,sus!,sus?,sus?,yes"},
		"one failure after a suspicion is a doubt":                                     {2, "+--+++-", "yes,yes?,sus!,sus?,sus?,yes,yes?"},
		"as many failures after a suspicion make a pod suspected again":                {2, "+--+++--", "yes,yes?,sus!,sus?,sus?,yes,yes?,sus!"},
		"the first good answer of a master ends its suspicion":                         {2, "M+--+", "yes,yes?,sus!,yes"},
		"a master is suspected again after as many failures":                           {2, "M+--+--", "yes,yes?,sus!,yes,yes?,sus!"},
		"ten failures make a pod that has not answered one that never answers":         {2, "-----------", "new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!,nev!"},
		"twelve failures make a pod one that never answers if its probe allows twelve": {12, "------------", "new?,new?,new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!"},
		"a pod may answer after some failures":                                         {2, "---+", "new?,new?,new?,yes"},
		"a pod that never answered may answer":                                         {2, "----------+", "new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!,yes"},
		"a pod that has not answered is not suspected":                                 {1, "--", "new?,new?"},
	} {
		t.Run(name, func(t *testing.T) {
			answers, master := strings.CutPrefix(test.answers, "M")
			p := newPod(test.failures)
			p.Master = master
			var got []string
			for i, c := range answers {
				p.answers(200*i, answer(c == '+'))
				got = append(got, word(p))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ",")); diff != "" {
				t.Errorf("states after each of %s (-want +got): %s", test.answers, diff)
			}
		})
	}
}

// The record of a pod that fails has since when it fails, when it was asked the latest
// question that it missed, and why.
func TestFailing(t *testing.T) {
	p := newPod(2)
	for i, step := range []struct {
		err             error
		failing, missed time.Time
		want            error
	}{
		{nil, time.Time{}, time.Time{}, nil},
		{errNo, at(301), at(300), errNo},
		{os.ErrClosed, at(301), at(400), os.ErrClosed},
		{nil, at(301), at(400), os.ErrClosed},
		{errNo, at(301), at(600), errNo},
		{nil, at(301), at(600), errNo},
		{nil, at(301), at(600), errNo},
		{nil, time.Time{}, time.Time{}, nil},
		{errNo, at(1001), at(1000), errNo},
	} {
		asked := 100 * (i + 2)
		p.answers(asked, step.err)
		if !p.failing.Equal(step.failing) || !p.missed.Equal(step.missed) || !errors.Is(p.err, step.want) {
			t.Errorf("after %d answers: failing since %s, missed at %s, because of %v, want %s, %s and %v", i+1, p.failing, p.missed, p.err, step.failing, step.missed, step.want)
		}
	}
}
