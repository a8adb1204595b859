// Target is the workload of the tests on kind, and their client, in one static
// program that needs nothing of its image:
//
//	target serve                   answers with the pod's name, over HTTP
//	target serve -lock FILE        does so if no other process of the node that serves with that file has
//	target request -url URL        asks again and again, over a new connection each time
//	target request -keep -url URL  does so over one connection that is kept
//	target lookup -name NAME       resolves a name again and again
//
// What a client sees it prints, a line of JSON for each request.
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
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM) // the process ends with it
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
		grace := flags.Duration("grace", 0, "for how long to go on after SIGTERM")
		path := flags.String("lock", "", "a file that only one process may have locked; it does so with its first answer")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		lock, err := newLock(*path)
		if err != nil {
			return err
		}
		return serve(ctx, *address, *grace, lock)
	case "request", "lookup":
		url := flags.String("url", "", "what to request")
		keep := flags.Bool("keep", false, "to keep the connection, and wait for each answer")
		name := flags.String("name", "", "what to look up")
		every := flags.Duration("every", 20*time.Millisecond, "how often")
		timeout := flags.Duration("timeout", time.Second, "after which a request is lost")
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
