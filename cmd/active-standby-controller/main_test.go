package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version"
)

// asProgram makes the test binary the program itself.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	m.Run()
}

// execute runs the command in this process.
func execute(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	t.Cleanup(func() {
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Error(err)
		}
	})
	cmd := newCommand(t.Context())
	var buffer bytes.Buffer
	cmd.SetOut(&buffer)
	cmd.SetErr(&buffer)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.Execute()
	return buffer.String(), err
}

func TestHelp(t *testing.T) {
	help, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	// In this order; each flag in the section above it.
	rest := help
	for _, text := range []string{
		"qoqo.dev/service-mode: active-standby", "active-standby-controller [flags]",
		"\nCluster flags:", "--kubeconfig string ", "--namespaces strings ", "--node-heartbeat-timeout duration ", "(default 25s)",
		"\nServing flags:", "--http-endpoint string ", `(default ":8080")`,
		"\nLogs flags:", "--logging-format string ", "--vmodule ",
		"\nGlobal flags:", "--help ", "--version ",
	} {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("help without %q after what comes before it:\n%s", text, help)
		}
		rest = after
	}
}

func TestVersion(t *testing.T) {
	out, err := execute(t, "--version")
	if want := "active-standby-controller version " + version.Get().GitVersion + "\n"; err != nil || out != want {
		t.Errorf("%q, error %v, want %q", out, err, want)
	}
}

func TestCommandFails(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"for an argument":                    {[]string{"web"}, `unknown command "web" for "active-standby-controller"`},
		"for a flag that is not known":       {[]string{"--leader-elect"}, "unknown flag: --leader-elect"},
		"for a namespace that cannot be":     {[]string{"--namespaces=B_"}, `--namespaces: "B_" is not the name of a namespace: ` + validation.IsDNS1123Label("B_")[0]},
		"for a timeout that is too short":    {[]string{"--node-heartbeat-timeout=5s"}, "--node-heartbeat-timeout: 5s is too short, as kubelets send a heartbeat every 10 s only; allowed are 0 and 25s or more"},
		"for a negative timeout":             {[]string{"--node-heartbeat-timeout=-25s"}, "--node-heartbeat-timeout: -25s is too short, as kubelets send a heartbeat every 10 s only; allowed are 0 and 25s or more"},
		"for a log format that is not known": {[]string{"--logging-format=xml"}, `format: Invalid value: "xml": Unsupported log format`},
		"for a kubeconfig that is not there": {[]string{"--kubeconfig=/nowhere"}, "no cluster to work on (see --kubeconfig): stat /nowhere: no such file or directory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := execute(t, test.args...); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// The program is started on an API server that knows nothing, asked for what
// it serves, and told to end.
func TestProgram(t *testing.T) {
	apiserver := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(apiserver.Close)
	program := exec.CommandContext(t.Context(), os.Args[0], "--kubeconfig="+kubeconfig(t, apiserver.URL), "--http-endpoint=127.0.0.1:0")
	program.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(stderr, &log))
	address := ""
	for serving := regexp.MustCompile(`"Serving [^"]*" address="([^"]+)"`); address == "" && lines.Scan(); {
		if found := serving.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/livez":   {200, "ok\n"},
		"/readyz":  {503, "the caches of Services, Leases, EndpointSlices and Nodes are not yet synced\n"},
		"/metrics": {200, "\nactive_standby_elections 0\n"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want.status || !strings.Contains(string(body), want.text) {
			t.Errorf("%s: %d %s, error %v, want %d %s", path, response.StatusCode, body, err, want.status, want.text)
		}
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
	}
	if err := program.Wait(); err != nil {
		t.Errorf("the program ended with %v:\n%s", err, &log)
	}
}

func TestProgramFails(t *testing.T) {
	apiserver := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(apiserver.Close)
	program := exec.CommandContext(t.Context(), os.Args[0], "--kubeconfig="+kubeconfig(t, apiserver.URL), "--http-endpoint=nowhere")
	program.Env = append(os.Environ(), asProgram+"=1")
	out, err := program.CombinedOutput()
	if program.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), `--http-endpoint \"nowhere\": listen tcp: address nowhere: missing port in address`) {
		t.Errorf("ended with %v:\n%s", err, out)
	}
}
