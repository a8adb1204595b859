// Scale measures on a local control plane what many elections cost the controller, and how
// a victim fares beside neighbours who misbehave, and writes docs/scale/ from it:
//
//	scale measure [-elections a,b] [-routings c,d] [-parts e,f]   measures, then writes
//	scale write                                                   writes the documents from results.json
//	scale check                                                   fails if write would change a document
//
// `make scale`, `make update` and `make verify` call it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qoqo.dev/active-standby-controller/e2e/scale"
	"qoqo.dev/active-standby-controller/e2e/scale/report"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root, err := filepath.Abs("..") // the parent of the e2e module, in which this runs
	if err != nil {
		return err
	}
	documents := report.Documents{Root: root}
	for _, a := range scale.Attacks() {
		documents.Attacks = append(documents.Attacks, report.Attack(a))
	}
	switch command := append(args, "")[0]; command {
	case "write":
		return documents.Write()
	case "check":
		return documents.Check()
	case "measure":
		o, out, err := parse(args[1:])
		if err != nil {
			return err
		}
		file := filepath.Join(cmp.Or(out, filepath.Join(root, "docs", "scale")), "results.json")
		if err := measure(ctx, o, file); err != nil {
			return err
		}
		if out != "" {
			return documents.Print(os.Stdout, file)
		}
		return documents.Write()
	default:
		return fmt.Errorf("unknown command %q; there are measure, write and check", command)
	}
}

// The parts that -parts names, of which failover is all numbers of -failures.
const (
	failover  = "failover"
	neighbour = "neighbour"
)

var parts = []string{results.OptIn, results.Rest, results.Restart, failover, neighbour}

func parse(args []string) (o scale.Options, out string, err error) {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.IntVar(&o.Runs, "runs", 3, "how often to measure each load")
	flags.DurationVar(&o.RestTime, "rest", time.Minute, "how long the part rest lasts")
	flags.DurationVar(&o.Patience, "patience", 5*time.Minute, "how long to wait for elections to be served")
	flags.StringVar(&out, "out", "", "a directory for results.json; prints the tables, and leaves the documents alone")
	loads := flags.String("elections", "100,1000,10000/1000/5000,200/1,1000/1", "loads, each as ELECTIONS, ELECTIONS/NAMESPACES or ELECTIONS/NAMESPACES/NODES")
	routings := flags.String("routings", strings.Join(results.Routings, ","), "routings")
	wanted := flags.String("parts", strings.Join(parts, ","), "parts")
	failures := flags.String("failures", "1,20,100,1000", "how many masters fail at once")
	attacks := flags.String("attacks", "", "attacks beside which a victim is measured; all by default")
	if err := flags.Parse(args); err != nil {
		return o, out, err
	}
	if o.Runs < 1 {
		return o, out, fmt.Errorf("-runs is %d, must be 1 or more", o.Runs)
	}
	for _, text := range list(*loads) {
		load, err := results.ParseLoad(text)
		if err != nil {
			return o, out, fmt.Errorf("-elections: %w", err)
		}
		o.Loads = append(o.Loads, load)
	}
	for _, text := range list(*failures) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, out, fmt.Errorf("-failures: %q must be a number from 1", text)
		}
		o.Failures = append(o.Failures, n)
	}
	o.Routings, o.Attacks = list(*routings), list(*attacks)
	if len(o.Attacks) == 0 {
		for _, a := range scale.Attacks() {
			o.Attacks = append(o.Attacks, a.Name)
		}
	}
	var known []string
	for _, a := range scale.Attacks() {
		known = append(known, a.Name)
	}
	for _, choice := range []struct {
		flag       string
		given, all []string
	}{{"routings", o.Routings, results.Routings}, {"parts", list(*wanted), parts}, {"attacks", o.Attacks, known}} {
		for _, one := range choice.given {
			if !slices.Contains(choice.all, one) {
				return o, out, fmt.Errorf("-%s: there is no %q; there are %s", choice.flag, one, strings.Join(choice.all, ", "))
			}
		}
	}
	has := func(part string) bool { return slices.Contains(list(*wanted), part) }
	o.OptIn, o.Rest, o.Restart = has(results.OptIn), has(results.Rest), has(results.Restart)
	if !has(failover) {
		o.Failures = nil
	}
	if !has(neighbour) {
		o.Attacks = nil
	}
	if !o.OptIn && !o.Rest && !o.Restart && len(o.Failures) == 0 {
		o.Loads = nil
	}
	return o, out, nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// measure measures, and writes results.json after each load and each attack.
func measure(ctx context.Context, o scale.Options, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := results.Read(path)
	if err != nil {
		return err
	}
	o.Progress = os.Stdout
	o.Measured = func(header results.Header, measured []results.Result, neighbours []results.Neighbour) error {
		date, version := time.Now().UTC().Format(time.DateOnly), os.Getenv("E2E_VERSION")
		for i := range measured {
			measured[i].Date, measured[i].Controller = date, version
		}
		for i := range neighbours {
			neighbours[i].Date, neighbours[i].Controller = date, version
		}
		file.Replace(header, measured, neighbours)
		return file.Write(path)
	}
	err = scale.Run(ctx, o)
	if errors.Is(err, context.Canceled) {
		return errors.New("it was interrupted")
	}
	return err
}
