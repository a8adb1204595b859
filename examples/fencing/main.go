// Fencing is an application with a single writer. A former master may learn too late that
// it is no longer the master, and does no harm:
//
//	fencing app    follows the Lease, and counts in the store while its pod is the master
//	fencing store  keeps what is written to it, but nothing from a former master
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // the process ends with the signal
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: fencing app|store [flags]")
	}
	flags := flag.NewFlagSet("fencing "+args[0], flag.ContinueOnError)
	address := flags.String("address", ":8080", "where to listen")
	switch args[0] {
	case "app":
		lease := flags.String("lease", "fencing", "the Lease's name: the Service's, or its annotation qoqo.dev/lease-name")
		store := flags.String("store", "http://fencing-store", "the store's URL")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return runApp(ctx, *address, *lease, *store)
	case "store":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return serve(ctx, *address, newStore().handler())
	}
	return fmt.Errorf("unknown command %q; usage: fencing app|store [flags]", args[0])
}

func runApp(ctx context.Context, address, lease, store string) error {
	env := map[string]string{}
	for _, name := range []string{"POD_NAME", "POD_UID", "POD_NAMESPACE"} {
		if env[name] = os.Getenv(name); env[name] == "" {
			return fmt.Errorf("the environment variable %s is not set; take it from the downward API", name)
		}
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit is needed for one question at a time
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	m := &member{pod: env["POD_NAME"], uid: env["POD_UID"]}
	a := &app{pod: m.pod, epoch: m.Epoch, store: client{url: store, http: &http.Client{}}}

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	followed := make(chan error, 1)
	running.Go(func() {
		defer cancel()
		followed <- m.follow(ctx, kube, env["POD_NAMESPACE"], lease)
	})
	running.Go(func() { a.run(ctx) })
	err = serve(ctx, address, m.handler())
	cancel()
	return errors.Join(err, <-followed)
}

// handler answers whether the pod is the master. The status is 200 either way, because the
// readiness probe asks it. If a pod were Ready only until its Lease expires, the Lease
// would not be renewed after that, and the pod would never be Ready again.
func (m *member) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if epoch, master := m.Epoch(time.Now()); master {
			fmt.Fprintf(w, "%s is the master in epoch %d\n", m.pod, epoch)
		} else {
			fmt.Fprintf(w, "%s is not the master\n", m.pod)
		}
	})
}

// serve serves until ctx is done. It then ends at once, and cuts off open requests.
func serve(ctx context.Context, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Serving", "address", listener.Addr().String())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
