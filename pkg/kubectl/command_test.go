package kubectl

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// The help of each command has a summary, a description and an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newCommand(&env{})
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s lacks Short, Long or Example", cmd.CommandPath())
		}
		if !strings.HasPrefix(cmd.UseLine(), displayName) {
			t.Errorf("%s is not called as kubectl calls it", cmd.UseLine())
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("the example of %s has no %q", cmd.Name(), cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "  # ") && !strings.HasPrefix(line, "  "+displayName+" ") {
				t.Errorf("the example of %s has the line %q", cmd.Name(), line)
			}
		}
	}
	// The help of a command that writes names what it writes.
	for _, cmd := range []string{"pause", "resume"} {
		found, _, err := root.Find([]string{cmd})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(found.Long, api.AnnotationPaused) {
			t.Errorf("%s does not name %s", cmd, api.AnnotationPaused)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	objects := web(aService("db", "", 0), aService("plain", "", 0, unannotated), aPod("web-3", "standby", notReady))
	tests := map[string]struct {
		line string
		want result
	}{
		"annotated Services": {"__completeNoDesc status ", result{Out: `
db
web
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
		"annotated Services that are not on the line yet": {"__completeNoDesc pause web ", result{Out: `
db
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
		"one Service at most": {"__completeNoDesc switchover web ", result{Out: `
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
		"the standbys that could take over": {"__completeNoDesc switchover web --to ", result{Out: `
web-2
web-1
:36
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp, ShellCompDirectiveKeepOrder
`}},
		"the standbys of a Service that is not annotated": {"__completeNoDesc switchover plain --to ", result{Out: `
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
		"the standbys of no Service": {"__completeNoDesc switchover --to ", result{Out: `
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
		"subcommands": {"__completeNoDesc s", result{Out: `
simulate
status
switchover
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, objects, func(c *cluster) {
				words := strings.Split(test.line, " ")
				compare(c, test.want, c.run(words...))
			})
		})
	}
}

// The scripts complete the program by its own name; kubectl completes its plugins in its own way.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, begins := range map[string]string{
		"bash": "# bash completion V2 for kubectl-active_standby ", "zsh": "#compdef kubectl-active_standby\n",
		"fish": "# fish completion for kubectl-active_standby ", "powershell": "# powershell completion for kubectl-active_standby ",
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			if code := Run(t.Context(), genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, []string{"completion", shell}); code != 0 || !strings.HasPrefix(out.String(), begins) {
				t.Errorf("exit code %d, output %.80q, %s", code, out.String(), errOut.String())
			}
		})
	}
}

// Commands that need no cluster work without one. The others fail with what is missing.
func TestRun(t *testing.T) {
	tests := map[string]struct {
		args []string
		want result
	}{
		"version": {[]string{"version"}, result{Out: "Client Version: " + clientVersion() + "\n"}},
		"no cluster": {[]string{"status", "--kubeconfig", "/nonexistent/kubeconfig"}, result{Err: `
error: stat /nonexistent/kubeconfig: no such file or directory
`, Code: 1}},
		"no such subcommand": {[]string{"stats"}, result{Err: `
error: unknown command "stats" for "kubectl active-standby"

Did you mean this?
	status

`, Code: 1}},
		"namespaces without a cluster": {[]string{"__completeNoDesc", "status", "-n", ""}, result{Out: `
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Run(t.Context(), genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, test.args)
			compare(t, test.want, result{out.String(), errOut.String(), code})
		})
	}
}

func TestNamespaceNeedsNoKubeconfig(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := genericclioptions.NewConfigFlags(true)
	*flags.KubeConfig, *flags.Namespace = broken, "shop"
	if c, err := connectBy(flags)(); err == nil || c.namespace != "shop" || !c.explicit {
		t.Errorf("got namespace %q, explicit %v, error %v", c.namespace, c.explicit, err)
	}
}
