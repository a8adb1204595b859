package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options are the settings of a control plane. The zero value is the usual one.
type Options struct {
	// Nodes is the number of nodes, up to 100: node-1, node-2 and so on. 0 means 3.
	Nodes int
	// Tireless nodes are never taken for dead by Kubernetes: of thousands whose heartbeats a test
	// plays, some come late.
	Tireless bool
	// Progress receives a line about work that takes long. Nil means standard error.
	Progress io.Writer

	port     int      // the first port that the supervisor tries, if not 0
	programs Programs // in place of the built programs, if not nil
}

func (o Options) progress() io.Writer {
	if o.Progress == nil {
		return os.Stderr
	}
	return o.Progress
}

// Plane is a running control plane.
type Plane struct {
	// Dir is the state directory. It holds the log of each program, and is removed
	// when the control plane stops.
	Dir string
	// Admin may do everything.
	Admin User
	// Kubectl is the path of a kubectl of the API server's version.
	Kubectl string
	// AuditLog is the path of the API server's audit log, which has every request
	// of a ServiceAccount at the level Metadata.
	AuditLog string

	stop    func() error
	stopped <-chan struct{}
}

// User is a user of the API server.
type User struct {
	// Kubeconfig is the path of a kubeconfig.
	Kubeconfig string
	// Config is the same for clients in this process. They have no rate limit.
	Config *rest.Config
}

// Start builds the programs if need be, starts a control plane for the caller alone,
// and returns when it can run pods. ctx limits the start only. The control plane
// stops at Stop, or when the calling process ends.
func Start(ctx context.Context, options Options) (*Plane, error) {
	return start(ctx, options, order{})
}

func start(ctx context.Context, options Options, order order) (*Plane, error) {
	built, err := Build(ctx, options.progress())
	if err != nil {
		return nil, err
	}
	order.Programs, order.Nodes, order.Tireless, order.Port = built, options.Nodes, options.Tireless, options.port
	if options.programs != nil {
		order.Programs = options.programs
	}
	if order.Nodes == 0 {
		order.Nodes = 3
	}
	if order.Nodes < 0 || order.Nodes > maxNodes {
		return nil, fmt.Errorf("%d nodes: must be from 1 to %d", order.Nodes, maxNodes)
	}
	supervisor, err := startSupervisor(ctx, order)
	if err != nil {
		return nil, fmt.Errorf("start the local control plane: %w", err)
	}
	plane, err := openPlane(supervisor.dir, built)
	if err != nil {
		return nil, errors.Join(err, supervisor.stop())
	}
	plane.stop, plane.stopped = sync.OnceValue(supervisor.stop), supervisor.stopped
	return plane, nil
}

// openPlane returns the control plane that runs in a state directory. The caller
// sets how to stop it.
func openPlane(dir string, built Programs) (*Plane, error) {
	admin, err := openUser(kubeconfigFile(dir))
	if err != nil {
		return nil, err
	}
	return &Plane{Dir: dir, Admin: admin, Kubectl: built[kubectl], AuditLog: filepath.Join(dir, auditLogFile)}, nil
}

func openUser(kubeconfig string) (User, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return User{}, err
	}
	config.QPS = -1
	return User{Kubeconfig: kubeconfig, Config: config}, nil
}

// Stop ends the control plane and waits until nothing is left of it. If it ended
// earlier because one of its programs did, the error says which and why.
func (p *Plane) Stop() error { return p.stop() }

// Stopped returns a channel that is closed when the control plane has ended, for
// whatever reason. It is nil for one that Up returned.
func (p *Plane) Stopped() <-chan struct{} { return p.stopped }

// Freeze stops a program of the control plane, such as "etcd" or "kube-apiserver", as if
// its machine were suspended, until thaw is called. Its connections stay.
func (p *Plane) Freeze(program string) (thaw func() error, err error) {
	text, err := os.ReadFile(programPidFile(p.Dir, program))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return nil, err
	}
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
}

// ServiceAccount returns the ServiceAccount as a user, with a token for 24 hours.
func (p *Plane) ServiceAccount(ctx context.Context, namespace, name string) (User, error) {
	client, err := kubernetes.NewForConfig(p.Admin.Config)
	if err != nil {
		return User{}, err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(24 * 60 * 60))}}
	request, err = client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return User{}, fmt.Errorf("token of the service account %s/%s: %w", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(p.Admin.Config)
	config.BearerToken = request.Status.Token
	kubeconfig := filepath.Join(p.Dir, fmt.Sprintf("%s.%s.kubeconfig", namespace, name))
	if err := writeKubeconfig(kubeconfig, config); err != nil {
		return User{}, err
	}
	return openUser(kubeconfig)
}
