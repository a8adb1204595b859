// Local runs a local control plane to try things on. Run it inside the e2e module:
// go run ./cmd/local up.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

const usage = `local runs a Kubernetes control plane on this machine, without containers.
Its pods become Ready, but run nothing.

Usage:

  local up [--name NAME] [--nodes N]   start one in the background
  local down [--name NAME]             stop it
  local run [--nodes N]                start one and stop it at Ctrl-C
  local build                          only build the programs, once
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return flag.ErrHelp
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	name, options := "local", local.Options{}
	if args[0] == "up" || args[0] == "down" {
		flags.StringVar(&name, "name", name, "")
	}
	if args[0] == "up" || args[0] == "run" {
		flags.IntVar(&options.Nodes, "nodes", 3, "")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return flag.ErrHelp
	}
	switch args[0] {
	case "up":
		return up(ctx, name, options)
	case "down":
		return down(ctx, name)
	case "run":
		return foreground(ctx, options)
	case "build":
		_, err := local.Build(ctx, os.Stderr)
		return err
	}
	return flag.ErrHelp
}

func up(ctx context.Context, name string, options local.Options) error {
	plane, wasUp, err := local.Up(ctx, name, options)
	if err != nil {
		return err
	}
	if wasUp {
		fmt.Fprintf(os.Stderr, "%q is already up\n", name)
	}
	show(plane)
	fmt.Fprintf(os.Stderr, "to stop it:    go run ./cmd/local down --name %s\n", name)
	return nil
}

func down(ctx context.Context, name string) error {
	wasUp, err := local.Down(ctx, name)
	if !wasUp && err == nil {
		fmt.Fprintf(os.Stderr, "%q is not up\n", name)
	}
	return err
}

func foreground(ctx context.Context, options local.Options) error {
	plane, err := local.Start(ctx, options)
	if err != nil {
		return err
	}
	show(plane)
	fmt.Fprintln(os.Stderr, "to stop it:    Ctrl-C")
	select {
	case <-ctx.Done():
	case <-plane.Stopped():
	}
	return plane.Stop()
}

// show prints the shell command that selects the control plane. Nothing else goes to
// standard output, so that a shell can eval it.
func show(plane *local.Plane) {
	fmt.Printf("export KUBECONFIG='%s'\n", plane.Admin.Kubeconfig)
	fmt.Fprintf(os.Stderr, "kubectl is at: %s\n", plane.Kubectl)
}
