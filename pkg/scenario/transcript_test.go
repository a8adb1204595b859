package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTranscriptsAreFormatted(t *testing.T) {
	for _, kind := range []string{Simulated, Real} {
		scenarios, err := Read("testdata", kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scenarios {
			text, err := os.ReadFile(s.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.format(), string(text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.path, diff)
			}
		}
	}
}

func TestTranscriptsThatMakeNoSense(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"a step has no separator":        {"pod web-0\n\n----\nPod web-0:\n", "x.txt:1: a step without ----"},
		"a step has two separators":      {"\npod web-0\n----\n----\n", "x.txt:4: a second ---- in one step"},
		"there is no such kind of world": {"# only: imagined\n", "x.txt: # only: imagined is neither simulated nor real"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parse("x.txt", test.text); err == nil || err.Error() != test.want {
				t.Errorf("got the error %v, want %s", err, test.want)
			}
		})
	}
}

// echo is a world that looks like what was last done to it.
type echo struct{ commands []Command }

func (e *echo) Do(c Command) error { e.commands = append(e.commands, c); return nil }

func (e *echo) Look([]string) ([]string, error) {
	last := e.commands[len(e.commands)-1]
	return []string{last.Verb + ": " + strings.Join(last.Args, "|")}, nil
}

func TestPlay(t *testing.T) {
	const before = "# A comment.\n\n# Another one.\npod web-0 tier=fast\nhold web \"The \\\"second\\\"\"\n----\nold\n\nwait 3s\n----\n"
	const after = "# A comment.\n\n# Another one.\npod web-0 tier=fast\nhold web \"The \\\"second\\\"\"\n----\nhold: web|The \"second\"\n\nwait 3s\n----\nwait: 3s\n"
	path := filepath.Join(t.TempDir(), "x.txt")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, update := range []bool{true, false} {
		scenarios, err := Read(filepath.Dir(path), Simulated)
		if err != nil {
			t.Fatal(err)
		}
		scenarios[0].Play(t, &echo{}, update)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after, string(text)); diff != "" {
			t.Errorf("transcript with update %t (-want +got):\n%s", update, diff)
		}
	}
}

func TestCommands(t *testing.T) {
	tests := map[string]struct {
		line string
		want []string
		fail string
	}{
		"words are split at spaces":            {line: "pod  web-0 a=b ", want: []string{"pod", "web-0", "a=b"}},
		"a quote keeps spaces":                 {line: `annotate service web k="a b"`, want: []string{"annotate", "service", "web", "k=a b"}},
		"a quote can be empty":                 {line: `service web k=""`, want: []string{"service", "web", "k="}},
		"a quote without an end is no command": {line: `hold web "a`, fail: "a quote without end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parseCommand(test.line)
			if test.fail != "" {
				if err == nil || !strings.Contains(err.Error(), test.fail) {
					t.Errorf("got the error %v, want %s", err, test.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, append([]string{c.Verb}, c.Args...)); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
		})
	}
}
