// Target is the workload of the tests on kind, and its client. It is one static
// program, which needs no other file in its image:
//
//	target serve                   answers with the pod's name, over HTTP
//	target serve -lock FILE        answers so only if it can lock the file, which one process of a node can
//	target request -url URL        sends requests again and again, over a new connection each time
//	target request -keep -url URL  sends them over one connection that is kept
//	target lookup -name NAME       resolves a name again and again
//
// A client prints a line of JSON for each request, with what came of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM) // never stopped: the process ends first
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: target serve|request|lookup")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "serve":
		address := flags.String("address", ":8080", "where to listen")
		grace := flags.Duration("grace", 0, "how long to go on serving after SIGTERM")
		path := flags.String("lock", "", "file to lock at the first answer; while another process has it locked, answers are 409")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		lock, err := newLock(*path)
		if err != nil {
			return err
		}
		return serve(ctx, *address, *grace, lock)
	case "request", "lookup":
		url := flags.String("url", "", "URL to request")
		keep := flags.Bool("keep", false, "keep the connection, and wait for each answer")
		name := flags.String("name", "", "name to look up")
		every := flags.Duration("every", 20*time.Millisecond, "time between two requests")
		timeout := flags.Duration("timeout", time.Second, "time after which a request is lost")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		ask := request(*url, *timeout)
		switch {
		case args[0] == "lookup":
			ask = lookup(*name)
		case *keep:
			ask = (&kept{url: *url}).request
		}
		return repeat(ctx, os.Stdout, *every, *timeout, *keep, ask)
	}
	return fmt.Errorf("unknown command %q", args[0])
}
