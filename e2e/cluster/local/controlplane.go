package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// startTimeout is long enough for a loaded machine.
const startTimeout = 2 * time.Minute

// controlPlane is the running programs, as the supervisor sees them.
type controlPlane struct {
	dir      string
	programs Programs
	exited   func(error) // called when a program ends
	started  []*process
}

// start starts the programs and waits until pods can run. It returns the config
// with which the admin reaches the API server.
func (c *controlPlane) start(ctx context.Context, port, nodes int, tireless bool) (admin *rest.Config, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w\n%s", err, c.lastLines())
		}
	}()
	admin, err = c.writeFiles(port)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return nil, err
	}

	if err := c.run(flags(port, tireless), etcd, apiServer); err != nil {
		return nil, err
	}
	if err := waitForAPIServer(ctx, client); err != nil {
		return nil, fmt.Errorf("wait for the API server: %w", err)
	}
	if err := c.run(flags(port, tireless), controllerManager, scheduler, kwok); err != nil {
		return nil, err
	}
	if err := createNodes(ctx, client, nodes); err != nil {
		return nil, err
	}
	return admin, waitForCluster(ctx, client, nodes)
}

// writeFiles writes the files that the programs read.
func (c *controlPlane) writeFiles(port int) (admin *rest.Config, err error) {
	for name, data := range map[string][]byte{auditPolicyFile: auditPolicy, stagesFile: stages} {
		if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	credentials, err := newCredentials(c.dir)
	if err != nil {
		return nil, err
	}
	host := fmt.Sprintf("https://%s:%d", loopback, port)
	for program, user := range map[string]string{
		controllerManager: controllerManagerUser,
		scheduler:         schedulerUser,
		kwok:              kwokUser,
	} {
		path := filepath.Join(c.dir, programKubeconfig(program))
		if err := writeKubeconfig(path, credentials.config(host, user)); err != nil {
			return nil, err
		}
	}
	return credentials.config(host, adminUser), nil
}

func (c *controlPlane) run(flags map[string][]string, names ...string) error {
	for _, name := range names {
		p, err := startProcess(c.dir, name, c.programs[name], flags[name], c.exited)
		if err != nil {
			return err
		}
		c.started = append(c.started, p)
	}
	return nil
}

// kill ends the programs in reverse order, so that no log complains about a
// program that is already gone.
func (c *controlPlane) kill() {
	for len(c.started) > 0 {
		last := len(c.started) - 1
		c.started[last].kill()
		c.started = c.started[:last]
	}
}

func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
}

// lastLines returns the end of each program's log, to explain a start that takes
// too long.
func (c *controlPlane) lastLines() string {
	text := &strings.Builder{}
	for _, p := range programs {
		if log := logFile(c.dir, p.name); exists(log) {
			fmt.Fprintf(text, "\nthe last lines of %s:\n%s\n", p.name, lastLines(log))
		}
	}
	return text.String()
}

// freePort returns a port that was free a moment ago. It may be taken by now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
