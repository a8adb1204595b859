//go:build integration

// Package integration tests the controller on a real API server, with the real
// EndpointSlice controller and garbage collector: two replicas run as processes
// under the ServiceAccount and the RBAC rules of manifests/, confined by
// manifests/admission.
package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// What all tests share. Each test has a namespace of its own.
var (
	plane        *local.Plane
	installation *install.Installation
	client       kubernetes.Interface
	running      [2]*install.Replica
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// parallel is how many tests run at the same time. They wait, most of the time.
const parallel = "6"

func runAll(m *testing.M) (code int, err error) {
	if err := flag.Set("test.parallel", parallel); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if plane, err = local.Start(ctx, local.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	if client, err = kubernetes.NewForConfig(plane.Admin.Config); err != nil {
		return 1, err
	}
	if installation, err = install.On(ctx, plane); err != nil {
		return 1, err
	}
	if err := installPolicies(ctx); err != nil {
		return 1, err
	}
	if err := startReplicas(ctx); err != nil {
		return 1, err
	}
	code = m.Run()
	stopReplicas()
	if code != 0 {
		for i := range running {
			log, _ := os.ReadFile(running[i].Log)
			fmt.Printf("log of %s:\n%s\n", replicaName(i), log)
		}
		return code, nil
	}
	return code, checkAudit()
}

func replicaName(i int) string { return fmt.Sprintf("replica-%d", i+1) }

// startReplicas starts those that do not run.
func startReplicas(ctx context.Context) (err error) {
	for i := range running {
		if running[i] == nil || hasExited(running[i]) {
			if running[i], err = installation.Start(ctx, replicaName(i), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func stopReplicas() {
	for _, r := range running {
		r.Stop()
	}
}

func hasExited(r *install.Replica) bool {
	select {
	case <-r.Exited():
		return true
	default:
		return false
	}
}

// without runs f while no replica runs.
func without(t *testing.T, f func()) {
	t.Helper()
	stopReplicas()
	// Also if f ends the test.
	defer func() {
		if err := startReplicas(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	f()
}
