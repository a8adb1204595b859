// Failover measures on a cluster of kind what clients lose when a master fails
// or moves, and writes docs/failover/ and the tables in docs/guarantees.md and the README from it:
//
//	failover measure [-runs 10] [-scenarios a,b] [-routings c,d] [-proxies e,f]   measures, then writes
//	failover write                                                                writes the documents from results.json
//	failover check                                                                fails if write would change a document
//
// `make e2e-failover`, `make update` and `make verify` call it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/failover"
	"qoqo.dev/active-standby-controller/e2e/failover/report"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	about := map[string]report.Scenario{}
	for _, s := range failover.Scenarios {
		about[s.Name] = report.Scenario{Title: s.Title, Why: failover.Why[s.Name]}
	}
	root, err := filepath.Abs("..") // the parent of the e2e module, in which this runs
	if err != nil {
		return err
	}
	switch command := append(args, "")[0]; command {
	case "write":
		return report.Write(root, about)
	case "check":
		return report.Check(root, about)
	case "measure":
		options, err := parse(args[1:])
		if err != nil {
			return err
		}
		file := filepath.Join(root, "docs", "failover", "results.json")
		broken, err := measure(ctx, options, file)
		return errors.Join(err, report.Write(root, about), broken)
	default:
		return fmt.Errorf("unknown command %q; there are measure, write and check", command)
	}
}

func parse(args []string) (o failover.Options, err error) {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.IntVar(&o.Runs, "runs", 10, "how often to measure each scenario with each routing")
	scenarios := flags.String("scenarios", "", "scenarios to measure, separated by commas; all by default")
	routings := flags.String("routings", "", "routings to measure, separated by commas; all by default")
	proxies := flags.String("proxies", "", "configurations of kube-proxy to compare, separated by commas, each MODE/MINSYNCPERIOD, such as iptables/1s; the cluster's own by default")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *proxies != "" {
		for text := range strings.SplitSeq(*proxies, ",") {
			p, err := results.ParseKubeProxy(text)
			if err != nil {
				return o, err
			}
			o.KubeProxies = append(o.KubeProxies, p)
		}
	}
	if o.Runs < 1 {
		return o, fmt.Errorf("-runs is %d, must be 1 or more", o.Runs)
	}
	if o.Scenarios, err = pick("scenario", *scenarios, failover.Scenarios, scenarioName); err != nil {
		return o, err
	}
	if o.Variants, err = pick("routing", *routings, results.Variants, results.Variant.String); err != nil {
		return o, err
	}
	return o, o.Validate()
}

// pick returns those of all whose names are given, in the given order and each once.
// If none are given, it returns all.
func pick[T any](what, given string, all []T, name func(T) string) (picked []T, err error) {
	if given == "" {
		return all, nil
	}
	for wanted := range strings.SplitSeq(given, ",") {
		i := slices.IndexFunc(all, func(one T) bool { return name(one) == wanted })
		if i < 0 {
			return nil, fmt.Errorf("there is no %s %q; there are %s", what, wanted, strings.Join(names(all, name), ", "))
		}
		if !slices.Contains(names(picked, name), wanted) {
			picked = append(picked, all[i])
		}
	}
	return picked, nil
}

func names[T any](all []T, name func(T) string) (names []string) {
	for _, one := range all {
		names = append(names, name(one))
	}
	return names
}

func scenarioName(s failover.Scenario) string { return s.Name }

// measure measures, and writes results.json after each scenario. As broken it returns
// the promises of the design that a result breaks.
func measure(ctx context.Context, o failover.Options, path string) (broken, err error) {
	controller, target, artifacts := os.Getenv("E2E_IMAGE"), os.Getenv("E2E_TARGET"), os.Getenv("E2E_ARTIFACTS")
	if controller == "" || target == "" || artifacts == "" {
		return nil, errors.New("run `make e2e-failover`, which builds the images that this needs")
	}
	cluster, err := kind.Start(ctx, kind.Options{
		Image: os.Getenv("KIND_NODE_IMAGE"), Kubeconfig: os.Getenv("KUBECONFIG"), Dir: artifacts, Progress: os.Stdout,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, cluster.Diagnose(context.WithoutCancel(ctx), filepath.Join(artifacts, "failover")))
		}
		if os.Getenv("E2E_KEEP") == "" {
			err = errors.Join(err, cluster.Delete(context.WithoutCancel(ctx)))
		}
	}()
	if err := cluster.Load(ctx, controller, target); err != nil {
		return nil, err
	}
	if err := cluster.Install(ctx, controller); err != nil {
		return nil, err
	}
	file, err := results.Read(path)
	if err != nil {
		return nil, err
	}
	header, err := failover.Header(ctx, cluster)
	if err != nil {
		return nil, err
	}
	o.Target, o.Progress = target, os.Stdout
	o.Measured = func(measured []results.Result) error {
		for i := range measured {
			measured[i].Date, measured[i].Controller = time.Now().UTC().Format(time.DateOnly), os.Getenv("E2E_VERSION")
		}
		if len(o.KubeProxies) > 0 {
			file.Compare(measured)
		} else {
			file.Replace(header, names(failover.Scenarios, scenarioName), measured)
		}
		broken = errors.Join(broken, results.Broken(measured))
		return file.Write(path)
	}
	err = failover.Run(ctx, cluster, o)
	return broken, err
}
