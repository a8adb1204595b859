//go:build e2e

// Package functional tests the controller on a kind cluster, as its users install it,
// with real nodes and real packets.
package functional

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
)

// cluster is shared by all tests. Each test has a namespace of its own. No test runs in
// parallel with others, because some disturb the nodes or the controller.
var cluster *kind.Cluster

// The images, which `make e2e` builds and names.
var (
	controllerImage = os.Getenv("E2E_IMAGE")
	targetImage     = os.Getenv("E2E_TARGET")
	// formerImage is version 0.1.0, whose files are in bin/former; they are not there in a shallow clone.
	formerImage = os.Getenv("E2E_FORMER")
	// fencingImage is the image of examples/fencing.
	fencingImage = os.Getenv("E2E_FENCING")
	// Images that replace those of the examples where these cannot be pulled. Optional.
	busyboxImage    = os.Getenv("E2E_BUSYBOX")
	postgresqlImage = os.Getenv("E2E_POSTGRESQL")
)

// helm is the program that installs the chart.
var helm = os.Getenv("E2E_HELM")

// artifacts is the directory in which a failed test saves what explains it.
var artifacts = os.Getenv("E2E_ARTIFACTS")

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := runAll(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(ctx context.Context, m *testing.M) (code int, err error) {
	if controllerImage == "" || targetImage == "" || fencingImage == "" || plugin == "" || helm == "" || artifacts == "" {
		return 1, fmt.Errorf("run `make e2e`, which builds the images that these tests need")
	}
	starting, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	cluster, err = kind.Start(starting, kind.Options{
		Image: os.Getenv("KIND_NODE_IMAGE"), Kubeconfig: os.Getenv("KUBECONFIG"), Dir: artifacts, Progress: os.Stdout,
	})
	if err != nil {
		return 1, err
	}
	if os.Getenv("E2E_KEEP") == "" {
		stopped := context.AfterFunc(ctx, func() {
			// Running tests cannot be told to end.
			_ = cluster.Delete(context.Background())
			os.Exit(1)
		})
		defer func() {
			if stopped() {
				err = cluster.Delete(context.Background())
			}
		}()
	} else {
		defer fmt.Printf("The cluster stays up. To use it:\n  export KUBECONFIG=%s\nWithout this setting the next `make e2e` deletes it.\n", cluster.Kubeconfig)
	}
	if err := prepare(starting); err != nil {
		_ = cluster.Diagnose(ctx, filepath.Join(artifacts, "install"))
		return 1, err
	}
	return m.Run(), nil
}

func prepare(ctx context.Context) error {
	if err := cluster.Load(ctx, controllerImage, targetImage); err != nil {
		return err
	}
	for image, alias := range map[string]string{
		fencingImage: "localhost/fencing:example", busyboxImage: "busybox:1.37", postgresqlImage: "postgres:18",
	} {
		if image == "" {
			continue
		}
		if err := cluster.Load(ctx, image); err != nil {
			return err
		}
		if err := cluster.Alias(ctx, image, alias); err != nil {
			return err
		}
	}
	return cluster.Install(ctx, controllerImage)
}
