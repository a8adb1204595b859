package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"there is no command":               {want: "usage: fencing app|store [flags]"},
		"the command is unknown":            {args: []string{"serve"}, want: `unknown command "serve"; usage: fencing app|store [flags]`},
		"a flag is unknown":                 {args: []string{"store", "-port=1"}, want: "flag provided but not defined: -port"},
		"the program runs outside of a pod": {args: []string{"app"}, want: "the environment variable POD_NAME is not set; take it from the downward API"},
		"the pod's UID is not set":          {args: []string{"app"}, env: map[string]string{"POD_NAME": "fencing-0"}, want: "the environment variable POD_UID is not set; take it from the downward API"},
		"there is no such port":             {args: []string{"store", "-address=127.0.0.1:-1"}, want: "listen tcp: address -1: invalid port"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"POD_NAME", "POD_UID", "POD_NAMESPACE"} {
				t.Setenv(name, c.env[name])
			}
			err := run(t.Context(), c.args)
			if err == nil {
				t.Fatal("there is no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// If readiness depended on the Lease, it would end for ever when the Lease expires.
func TestAPodIsReadyWhateverItsRole(t *testing.T) {
	m := &member{pod: "fencing-0", uid: "u0"}
	m.answered(held(100), time.Now())
	if diff := cmp.Diff("200 fencing-0 is not the master", ask(t, m.handler(), "GET /", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.answered(held(101), time.Now())
	if diff := cmp.Diff("200 fencing-0 is the master in epoch 1", ask(t, m.handler(), "GET /", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
