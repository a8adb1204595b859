package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"

	"qoqo.dev/active-standby-controller/pkg/heartbeat"
)

type options struct {
	kubeconfig   string
	namespaces   []string
	httpEndpoint string
	// nodeHeartbeatTimeout is 0 if nodes are not listened to.
	nodeHeartbeatTimeout time.Duration
	logs                 *logsapi.LoggingConfiguration
}

func newOptions() *options {
	return &options{httpEndpoint: ":8080", nodeHeartbeatTimeout: 25 * time.Second, logs: logsapi.NewLoggingConfiguration()}
}

// flags are the command line, in the sections that --help shows.
func (o *options) flags() (sets cliflag.NamedFlagSets) {
	cluster := sets.FlagSet("cluster")
	cluster.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "Path of a kubeconfig file. Without it, those that the environment variable KUBECONFIG names, or the ServiceAccount of the pod that this runs in.")
	cluster.StringSliceVar(&o.namespaces, "namespaces", o.namespaces, "Namespaces whose Services are looked after, separated by commas. Without it, all of them.")
	cluster.DurationVar(&o.nodeHeartbeatTimeout, "node-heartbeat-timeout", o.nodeHeartbeatTimeout, "After how long without a heartbeat of its node, while other nodes have theirs, a pod is not eligible any more. Kubelets send one every 10 s. 0 waits until Kubernetes marks the pod NotReady.")

	serving := sets.FlagSet("serving")
	serving.StringVar(&o.httpEndpoint, "http-endpoint", o.httpEndpoint, `TCP address on which /livez, /readyz and /metrics are served; "" for nowhere.`)

	logsapi.AddFlags(o.logs, sets.FlagSet("logs"))
	sets.FlagSet("global").Bool("version", false, "Print the version and exit.")
	sets.FlagSet("global").BoolP("help", "h", false, "Print this help and exit.")
	return sets
}

func (o *options) validate() error {
	slices.Sort(o.namespaces)
	o.namespaces = slices.Compact(o.namespaces)
	for _, namespace := range o.namespaces {
		if errs := validation.IsDNS1123Label(namespace); len(errs) > 0 {
			return fmt.Errorf("--namespaces: %q is not the name of a namespace: %s", namespace, strings.Join(errs, "; "))
		}
	}
	if t := o.nodeHeartbeatTimeout; t != 0 && t < heartbeat.MinTimeout {
		return fmt.Errorf("--node-heartbeat-timeout: %s is too short, as kubelets send a heartbeat every 10 s only; allowed are 0 and %s or more", t, heartbeat.MinTimeout)
	}
	return nil
}

func (o *options) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to work on (see --kubeconfig): %w", err)
	}
	// A failover must not wait for a token of a client-side bucket. The API
	// server's priority and fairness limits what there is to limit.
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config, nil
}
