// Demo shows the controller at work:
//
//	demo         on a local control plane
//	demo kind    on a cluster of kind, where packets flow
//
// With DEMO_KEEP=1 everything stays up at the end. `make demo` and `make demo-kind` call it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"qoqo.dev/active-standby-controller/e2e/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("DEMO_KEEP") != "")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, keep bool) error {
	switch {
	case len(args) == 0:
		return demo.Run(ctx, keep)
	case slices.Equal(args, []string{"kind"}):
		images := demo.Images{Controller: os.Getenv("E2E_IMAGE"), Target: os.Getenv("E2E_TARGET"), Node: os.Getenv("KIND_NODE_IMAGE")}
		if images.Controller == "" || images.Target == "" {
			return errors.New("run `make demo-kind`, which builds the images that this needs")
		}
		return demo.RunOnKind(ctx, images, keep)
	}
	return fmt.Errorf("unknown command %q; there is kind, and without a command the local control plane", args)
}
