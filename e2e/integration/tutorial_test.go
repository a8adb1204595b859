//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/document"
)

var picture = flag.String("picture", "", "the file into which TestTutorial draws the commands that docs/tutorial.md says are shown")

// Each command of docs/tutorial.md that works on any cluster prints what the page says. It is not
// parallel: a thousand elections of another test would hold up its events.
func TestTutorial(t *testing.T) {
	s := newNamespace(t)
	page := assert.Must(os.ReadFile(filepath.Join(installation.Root, "docs/tutorial.md")))(t)
	commands := commandsOf(string(page))
	if len(commands) < 15 {
		t.Fatalf("only %d commands are found", len(commands))
	}
	outputs := s.play(commands)
	for i, output := range outputs {
		var got strings.Builder
		for _, line := range output {
			got.WriteString(line.Text + "\n")
		}
		if diff := cmp.Diff(alike(commands[i].output), alike(got.String())); diff != "" {
			t.Errorf("$ %s (-docs/tutorial.md +printed):\n%s", commands[i].line, diff)
		}
	}
	if *picture != "" && !t.Failed() {
		assert.Must(0, os.WriteFile(filepath.Join(installation.Root, *picture), drawn(commands, outputs), 0o600))(t)
	}
}

// end is a line after the output of each command.
const end = "### end of a command"

// play runs the commands in one shell, because a command uses what another has assigned, and returns
// what each has printed.
func (s *scene) play(commands []command) (outputs [][]document.Line) {
	s.Helper()
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\necho '%s'\n", c.line, end)
	}
	shell := exec.CommandContext(s.Context(), "bash", "-c", script.String())
	shell.Dir = installation.Root
	shell.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig(), "PATH="+s.programs()+":"+os.Getenv("PATH"))
	printed := assert.Must(shell.StdoutPipe())(s)
	shell.Stderr = shell.Stdout
	assert.Must(0, shell.Start())(s)
	var output []document.Line
	lines, last := bufio.NewScanner(printed), time.Now()
	for lines.Scan() {
		line := document.Line{Text: strings.ReplaceAll(lines.Text(), s.namespace, "default"), After: time.Since(last)}
		last = last.Add(line.After)
		if line.Text == end {
			outputs, output = append(outputs, output), nil
			continue
		}
		output = append(output, line)
	}
	assert.Must(0, shell.Wait())(s)
	return outputs
}

// drawn returns a picture of the commands that are shown. Pauses leave time to read.
func drawn(commands []command, outputs [][]document.Line) []byte {
	var lines []document.Line
	pause := time.Second
	for i, c := range commands {
		if !c.shown {
			continue
		}
		lines = append(lines, document.Line{Text: "$ " + c.line, After: pause, Typed: true})
		for j, line := range outputs[i] {
			if j == 0 {
				line.After += time.Second
			}
			lines = append(lines, line)
		}
		pause = time.Second + time.Duration(len(outputs[i]))*time.Second/2
	}
	return document.Terminal(lines, 118, 24, 5*time.Second)
}

// command is a line of a page after a prompt, and what the page says that it prints.
type command struct {
	line, output string
	// shown is true if it is in the picture.
	shown bool
}

// commandsOf returns the commands of a page in the blocks with the comment "run: any".
func commandsOf(page string) (commands []command) {
	for _, block := range regexp.MustCompile("(?s)<!-- run: any(, shown)? -->\n```console\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for _, text := range strings.Split("\n"+block[2], "\n$ ")[1:] {
			line, output, _ := strings.Cut(text, "\n")
			commands = append(commands, command{line, output, block[1] != ""})
		}
	}
	return commands
}

// alike returns the lines of an output in the order of the alphabet, without what differs each time.
func alike(output string) []string {
	for _, differs := range []struct{ what, with string }{
		{`\bweb-[a-z0-9]+-[a-z0-9]{5}\b`, "POD"},
		{`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`, "UID"},
		{`\b(tutorial-control-plane|node-\d)\b`, "NODE"},
		{`\b(\d+(\.\d+)?(ms|s|m|h))+\b`, "TIME"},
		{`(?m)^Waiting for .*\n`, ""},
		// kubectl prints nothing if it need not wait for an end.
		{`(?m)^lease.coordination.k8s.io/web condition met$\n?`, ""},
		// A pod of kwok's is gone before the controller sees that it terminates.
		{`\bHolderGone\b`, "HolderTerminating"},
		{`\bdoes not exist\b`, "is terminating"},
		{` +`, " "},
	} {
		output = regexp.MustCompile(differs.what).ReplaceAllString(output, differs.with)
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	slices.Sort(lines)
	return lines
}

// kubeconfig writes one whose namespace is that of the scene, and returns its path.
func (s *scene) kubeconfig() string {
	s.Helper()
	path := filepath.Join(s.TempDir(), "kubeconfig")
	config := assert.Must(os.ReadFile(plane.Admin.Kubeconfig))(s)
	assert.Must(0, os.WriteFile(path, config, 0o600))(s)
	set := exec.CommandContext(s.Context(), plane.Kubectl, "--kubeconfig", path, "config", "set-context", "--current", "--namespace", s.namespace)
	if out, err := set.CombinedOutput(); err != nil {
		s.Fatalf("%v\n%s", err, bytes.TrimSpace(out))
	}
	return path
}

// programs returns a directory with kubectl and its plugin.
func (s *scene) programs() string {
	s.Helper()
	dir := s.TempDir()
	for name, program := range map[string]string{"kubectl": plane.Kubectl, "kubectl-active_standby": filepath.Join(plane.Dir, "kubectl-active_standby")} {
		assert.Must(0, os.Symlink(program, filepath.Join(dir, name)))(s)
	}
	return dir
}
