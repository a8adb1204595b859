// Chaos lets everything go wrong that can, on a local control plane, and judges what the
// controller makes of it; see package chaos. `make chaos` calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"qoqo.dev/active-standby-controller/e2e/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context) (ok bool, err error) {
	o := chaos.Options{Out: os.Stdout}
	flag.DurationVar(&o.Time, "time", 10*time.Minute, "how long actors act")
	flag.Uint64Var(&o.Seed, "seed", 0, "chooses what happens; 0 for a random one")
	flag.StringVar(&o.Artifacts, "artifacts", "../bin/chaos", "where a run saves its history and the logs")
	without := flag.String("without", "", "actors that do nothing, separated by commas")
	flag.Parse()
	o.Without = strings.FieldsFunc(*without, func(r rune) bool { return r == ',' })
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1_000_000)
	}
	return chaos.Run(ctx, o)
}
