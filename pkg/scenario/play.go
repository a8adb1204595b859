package scenario

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// EventPrefix begins the lines of events.
const EventPrefix = "Event "

// Asked returns how a line begins that was asked for by the command "requests" or "writes".
func Asked(verb string) string {
	return map[string]string{"requests": "Requests: ", "writes": "Writes: "}[verb]
}

// World is a cluster that a scenario is played in.
type World interface {
	// Do carries out a command.
	Do(Command) error
	// Look returns what the cluster looks like once it has settled. A world that cannot
	// know when that is waits for what the transcript says, which is nil if the
	// transcript is being written.
	Look(want []string) ([]string, error)
}

// Play carries out the scenario's commands, and fails the test where the world does not look
// as the transcript says. With update it rewrites the transcript instead.
func (s *Scenario) Play(tb testing.TB, w World, update bool) {
	tb.Helper()
	for i := range s.steps {
		block := &s.steps[i]
		for _, line := range block.commands() {
			command, err := parseCommand(line.text)
			if err == nil {
				err = w.Do(command)
			}
			if err != nil {
				tb.Fatalf("%s:%d: %s: %v", s.path, line.number, line.text, err)
			}
		}
		if !block.looks {
			continue
		}
		want := block.want
		if update {
			want = nil
		}
		got, err := w.Look(want)
		if err != nil {
			tb.Fatalf("%s:%d: %v", s.path, block.line, err)
		}
		if update {
			block.want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			tb.Fatalf("%s:%d: (-want +got):\n%s", s.path, block.line, diff)
		}
	}
	if update {
		if err := os.WriteFile(s.path, []byte(s.format()), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
