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

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/controller"
	"qoqo.dev/active-standby-controller/pkg/heartbeat"
	"qoqo.dev/active-standby-controller/pkg/nodeprobe"
)

type options struct {
	kubeconfig      string
	namespaces      []string
	httpEndpoint    string
	healthEndpoint  string
	electionMetrics int
	// nodeHeartbeatTimeout is 0 if the nodes' heartbeats are not watched.
	nodeHeartbeatTimeout time.Duration
	// nodeProbeTimeout is 0 if nodes are not asked.
	nodeProbeTimeout time.Duration
	drainTaints      []string
	probeAnyAddress  bool
	defaultRouting   string
	// defaultProbe is empty if there is none.
	defaultProbe string
	logs         *logsapi.LoggingConfiguration
}

func newOptions() *options {
	return &options{httpEndpoint: ":8080", electionMetrics: controller.DefaultElectionMetrics, nodeHeartbeatTimeout: 25 * time.Second, nodeProbeTimeout: 5 * time.Second, drainTaints: api.DrainTaints(), defaultRouting: string(api.RoutingSelector), logs: logsapi.NewLoggingConfiguration()}
}

// flags returns the flags of the command line, in the sections that --help shows.
func (o *options) flags() (sets cliflag.NamedFlagSets) {
	cluster := sets.FlagSet("cluster")
	cluster.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "Path of a kubeconfig file. By default, the files that the environment variable KUBECONFIG names, or else the ServiceAccount of the pod.")
	cluster.StringSliceVar(&o.namespaces, "namespaces", o.namespaces, "Namespaces whose Services are served, separated by commas. By default, all of them. One without rights keeps no other from being served.")
	cluster.DurationVar(&o.nodeHeartbeatTimeout, "node-heartbeat-timeout", o.nodeHeartbeatTimeout, "How long a node may send no heartbeat, while other nodes do, before its pods are no longer eligible: 25s or more, because kubelets send a heartbeat every 10s. With 0, a pod stays eligible until Kubernetes marks it NotReady. Needs the rights to get, list and watch the Leases in kube-node-lease; without them it is off.")
	cluster.DurationVar(&o.nodeProbeTimeout, "node-probe-timeout", o.nodeProbeTimeout, "How long a node may give no sign of life at its kubelet's port, while most of the other nodes do, before its pods are no longer eligible: 3s or more. Only nodes that have candidates are asked, each of them once a second. With 0, no node is asked. Needs the rights to get, list and watch nodes; without them it is off.")
	cluster.StringSliceVar(&o.drainTaints, "drain-taints", o.drainTaints, `Keys of the taints, separated by commas, that count as a cordon: masters move off a node with one of them. With "", none counts.`)
	cluster.BoolVar(&o.probeAnyAddress, "probe-any-address", o.probeAnyAddress, "Probe pods also on the network of their node, and at loopback, link-local and other addresses that no pod usually has. By default they are not probed: who can create such a pod would have the controller ask other programs.")
	cluster.StringVar(&o.defaultRouting, "default-routing", o.defaultRouting, fmt.Sprintf("Routing of the Services that do not choose one with the annotation %s: %q or %q. A Service that is routed by selector already stays so until it is annotated.", api.AnnotationRouting, api.RoutingSelector, api.RoutingEndpointSlice))
	cluster.StringVar(&o.defaultProbe, "default-probe", o.defaultProbe, fmt.Sprintf("Probe of the Services that do not choose one with the annotation %s, which says what is valid, such as %q: what the readiness probe of each pod asks. By default there is none.", api.AnnotationProbe, api.ProbeReadiness))

	serving := sets.FlagSet("serving")
	serving.StringVar(&o.httpEndpoint, "http-endpoint", o.httpEndpoint, `TCP address that serves /metrics, /livez and /readyz. With "", they are not served.`)
	serving.StringVar(&o.healthEndpoint, "health-endpoint", o.healthEndpoint, "TCP address that serves /livez and /readyz alone, so that who may not read the metrics cannot keep kubelets from being answered. By default there is none.")
	serving.IntVar(&o.electionMetrics, "election-metrics", o.electionMetrics, "Of how many elections there are metrics of their own, about 1,000 bytes of each answer for each. Of more elections than that, those that are not as they should be come first.")

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
	for _, key := range o.drainTaints {
		if errs := validation.IsQualifiedName(key); len(errs) > 0 {
			return fmt.Errorf("--drain-taints: %q is not the key of a taint: %s", key, strings.Join(errs, "; "))
		}
	}
	if r := api.Routing(o.defaultRouting); r != api.RoutingSelector && r != api.RoutingEndpointSlice {
		return fmt.Errorf("--default-routing: %q is not valid; allowed: %q or %q", o.defaultRouting, api.RoutingSelector, api.RoutingEndpointSlice)
	}
	if _, err := o.probe(); err != nil {
		return fmt.Errorf("--default-probe: %q is not a probe: %w; allowed: %s", o.defaultProbe, err, api.AllowedProbes)
	}
	if o.electionMetrics < 0 {
		return fmt.Errorf("--election-metrics: %d is not valid; allowed: 0 or more", o.electionMetrics)
	}
	if t := o.nodeHeartbeatTimeout; t != 0 && t < heartbeat.MinTimeout {
		return fmt.Errorf("--node-heartbeat-timeout: %s is too short, because kubelets send a heartbeat only every 10s; allowed: 0, or %s or more", t, heartbeat.MinTimeout)
	}
	if t := o.nodeProbeTimeout; t != 0 && t < nodeprobe.MinTimeout {
		return fmt.Errorf("--node-probe-timeout: %s is too short, because a virtual machine may stand still for a second or two; allowed: 0, or %s or more", t, nodeprobe.MinTimeout)
	}
	return nil
}

// probe returns the default probe; the zero value if there is none.
func (o *options) probe() (api.Probe, error) {
	if o.defaultProbe == "" {
		return api.Probe{}, nil
	}
	return api.ParseProbe(o.defaultProbe)
}

func (o *options) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to work on (see --kubeconfig): %w", err)
	}
	// No limit in the client: a failover must not wait for its token bucket. The API
	// server protects itself, with priority and fairness.
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config, nil
}
