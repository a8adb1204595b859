package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
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

// at is a time in milliseconds.
func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// answer is the error of one that is good or not.
func answer(good bool) error {
	if good {
		return nil
	}
	return errNo
}

// word is a pod's state by its answers, in three letters; with a question mark if it
// is in doubt.
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

func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		failures int
		// answers are good (+) or not (-), and want says the state after each. Those of
		// a master begin with an M.
		answers, want string
	}{
		"it answers":                                          {2, "++", "yes,yes"},
		"one failure is a doubt":                              {2, "+-", "yes,yes?"},
		"which the next answer ends":                          {2, "+-+", "yes,yes?,yes"},
		"two in a row make it suspected":                      {2, "+--", "yes,yes?,sus!"},
		"two that are not in a row do not":                    {2, "+-+-", "yes,yes?,yes,yes?"},
		"as many as it may fail":                              {4, "+----", "yes,yes?,yes?,yes?,sus!"},
		"the first, if it may not":                            {1, "+-", "yes,sus!"},
		"it stays suspected":                                  {2, "+------------", "yes,yes?,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!,sus!"},
		"three good answers end that":                         {2, "+--+++", "yes,yes?,sus!,sus?,sus?,yes"},
		"if they are in a row":                                {2, "+--++-+++", "yes,yes?,sus!,sus?,sus?,sus!,sus?,sus?,yes"},
		"and then it may fail again":                          {2, "+--+++-", "yes,yes?,sus!,sus?,sus?,yes,yes?"},
		"but not more often than before":                      {2, "+--+++--", "yes,yes?,sus!,sus?,sus?,yes,yes?,sus!"},
		"a master's first ends that":                          {2, "M+--+", "yes,yes?,sus!,yes"},
		"and then it may fail again as often":                 {2, "M+--+--", "yes,yes?,sus!,yes,yes?,sus!"},
		"it never answers":                                    {2, "-----------", "new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!,nev!"},
		"it never answers, and may fail more often than that": {12, "------------", "new?,new?,new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!"},
		"it answers late in life":                             {2, "---+", "new?,new?,new?,yes"},
		"it answers although it never did":                    {2, "----------+", "new?,new?,new?,new?,new?,new?,new?,new?,new?,nev!,yes"},
		"one that never answered is never suspected":          {1, "--", "new?,new?"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod{Target: Target{Probe: probeTCP}}
			p.Probe.Failures = test.failures
			var got []string
			answers, master := strings.CutPrefix(test.answers, "M")
			p.Master = master
			for i, c := range answers {
				p.hear(at(200*i), at(200*i+1), answer(c == '+'))
				got = append(got, word(&p))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ",")); diff != "" {
				t.Errorf("states after each of %s (-want +got): %s", test.answers, diff)
			}
		})
	}
}

// What is told of a pod that fails is since when, and why.
func TestFailing(t *testing.T) {
	p := pod{Target: Target{Probe: probeTCP}}
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
		p.hear(at(asked), at(asked+1), step.err)
		if !p.failing.Equal(step.failing) || !p.missed.Equal(step.missed) || !errors.Is(p.err, step.want) {
			t.Errorf("after %d answers: failing since %s, lastly at %s, because of %v, want %s, %s and %v", i+1, p.failing, p.missed, p.err, step.failing, step.missed, step.want)
		}
	}
}

func TestCounts(t *testing.T) {
	const ms = time.Millisecond
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for name, test := range map[string]struct {
		took, timeout time.Duration
		err           error
		want          bool
	}{
		"a good answer":                        {1 * ms, 250 * ms, nil, true},
		"a good one that was read late":        {time.Hour, 250 * ms, nil, true},
		"a failure":                            {1 * ms, 250 * ms, refused, true},
		"no answer":                            {252 * ms, 250 * ms, errNo, true},
		"no answer on a busy machine":          {275 * ms, 250 * ms, errNo, true},
		"the process was suspended or starved": {276 * ms, 250 * ms, errNo, false},
		"this process has no file descriptors": {1 * ms, 250 * ms, os.NewSyscallError("socket", syscall.EMFILE), false},
		"this machine has none":                {1 * ms, 250 * ms, syscall.ENFILE, false},
		"nor memory":                           {1 * ms, 250 * ms, fmt.Errorf("dialing: %w", syscall.ENOBUFS), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := counts(test.took, test.timeout, test.err); got != test.want {
				t.Errorf("it counts %t, want %t", got, test.want)
			}
		})
	}
}
