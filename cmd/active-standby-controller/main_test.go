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

// asProgram is the environment variable that makes the test binary the program itself.
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
	// The help has these in this order: each flag in its section.
	rest := help
	for _, text := range []string{
		"qoqo.dev/service-mode: active-standby", "active-standby-controller [flags]",
		"\nCluster flags:", "--kubeconfig string ", "--namespaces strings ", "--node-heartbeat-timeout duration ", "(default 25s)", "--node-probe-timeout duration ", "(default 5s)",
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
		"it has an argument":               {[]string{"web"}, `unknown command "web" for "active-standby-controller"`},
		"a flag is not known":              {[]string{"--leader-elect"}, "unknown flag: --leader-elect"},
		"a namespace is no name":           {[]string{"--namespaces=B_"}, `--namespaces: "B_" is not the name of a namespace: ` + validation.IsDNS1123Label("B_")[0]},
		"a timeout is too short":           {[]string{"--node-heartbeat-timeout=5s"}, "--node-heartbeat-timeout: 5s is too short, because kubelets send a heartbeat only every 10s; allowed: 0, or 25s or more"},
		"a timeout is negative":            {[]string{"--node-heartbeat-timeout=-25s"}, "--node-heartbeat-timeout: -25s is too short, because kubelets send a heartbeat only every 10s; allowed: 0, or 25s or more"},
		"a timeout of probes is too short": {[]string{"--node-probe-timeout=2s"}, "--node-probe-timeout: 2s is too short, because a virtual machine may stand still for a second or two; allowed: 0, or 3s or more"},
		"a number is negative":             {[]string{"--election-metrics=-1"}, "--election-metrics: -1 is not valid; allowed: 0 or more"},
		"a log format is not known":        {[]string{"--logging-format=xml"}, `format: Invalid value: "xml": Unsupported log format`},
		"a kubeconfig does not exist":      {[]string{"--kubeconfig=/nowhere"}, "no cluster to work on (see --kubeconfig): stat /nowhere: no such file or directory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := execute(t, test.args...); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// The program runs against an API server that answers 404 to everything. It serves its
// endpoints, and ends when it is told to.
func TestProgram(t *testing.T) {
	apiserver := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(apiserver.Close)
	program := exec.CommandContext(t.Context(), os.Args[0], "--kubeconfig="+kubeconfig(t, apiserver.URL), "--http-endpoint=127.0.0.1:0", "--health-endpoint=127.0.0.1:0")
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
	addresses := map[string]string{}
	for serving := regexp.MustCompile(`"Serving" flag="--([^"]+)-endpoint" address="([^"]+)"`); len(addresses) < 2 && lines.Scan(); {
		if found := serving.FindStringSubmatch(lines.Text()); found != nil {
			addresses[found[1]] = found[2]
		}
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"http/livez":     {200, "ok\n"},
		"http/readyz":    {503, "the caches of Services, Leases and EndpointSlices, or of Nodes, are not yet synced\n"},
		"http/metrics":   {200, "\nactive_standby_elections 0\n"},
		"health/livez":   {200, "ok\n"},
		"health/readyz":  {503, "not yet synced\n"},
		"health/metrics": {404, "404 page not found\n"},
	} {
		endpoint, page, _ := strings.Cut(path, "/")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addresses[endpoint]+"/"+page, nil)
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
	for flag, others := range map[string][]string{"--http-endpoint": nil, "--health-endpoint": {"--http-endpoint=127.0.0.1:0"}} {
		program := exec.CommandContext(t.Context(), os.Args[0], append(others, "--kubeconfig="+kubeconfig(t, apiserver.URL), flag+"=nowhere")...)
		program.Env = append(os.Environ(), asProgram+"=1")
		out, err := program.CombinedOutput()
		if program.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), flag+` \"nowhere\": listen tcp: address nowhere: missing port in address`) {
			t.Errorf("ended with %v:\n%s", err, out)
		}
	}
}
