// Package results has the types of docs/failover/results.json, which holds what was
// measured of failovers, and the analysis that fills them. The analysis is pure.
package results

import (
	"fmt"
	"strings"
	"time"
)

// File is the whole of results.json.
type File struct {
	Header  Header   `json:"header"`
	Results []Result `json:"results"`
	// KubeProxies are results with several configurations of kube-proxy, in turns.
	KubeProxies []Result `json:"kubeProxies,omitempty"`
}

// Header describes the cluster and the probes with which the results were measured.
type Header struct {
	Kubernetes string    `json:"kubernetes"` // the version of the API server
	Nodes      int       `json:"nodes"`      // of the cluster, with the control plane
	CPUs       int       `json:"cpus"`       // shared by the nodes, the clients and the pods
	KubeProxy  KubeProxy `json:"kubeProxy"`
	Readiness  Readiness `json:"readiness"`
	Client     Client    `json:"client"`
	Probe      Probe     `json:"probe,omitzero"`
}

// KubeProxy is the configuration of kube-proxy on the nodes.
type KubeProxy struct {
	Mode          string `json:"mode"`          // such as iptables
	MinSyncPeriod string `json:"minSyncPeriod"` // the least time between two updates, such as 1s
}

// String returns the form that ParseKubeProxy reads.
func (p KubeProxy) String() string { return p.Mode + "/" + p.MinSyncPeriod }

// ParseKubeProxy reads MODE/PERIOD, such as iptables/100ms.
func ParseKubeProxy(text string) (p KubeProxy, err error) {
	mode, period, _ := strings.Cut(text, "/")
	if _, err := time.ParseDuration(period); err != nil || mode == "" {
		return p, fmt.Errorf("%q is not a mode of kube-proxy and its minSyncPeriod, such as iptables/1s or nftables/100ms", text)
	}
	return KubeProxy{Mode: mode, MinSyncPeriod: period}, nil
}

// Readiness is the readiness probe of the measured pods.
type Readiness struct {
	PeriodSeconds    int32 `json:"periodSeconds"`
	TimeoutSeconds   int32 `json:"timeoutSeconds"`
	FailureThreshold int32 `json:"failureThreshold"`
}

// Probe is the controller's own probe of the variants that have one.
type Probe struct {
	URL        string  `json:"url"`         // such as http://:8080/ready
	IntervalMS float64 `json:"interval_ms"` // between two probes
	TimeoutMS  float64 `json:"timeout_ms"`  // of a probe
	Failures   int     `json:"failures"`    // in a row, after which the master is suspected
}

// Client is how the measuring client sends requests.
type Client struct {
	IntervalMS float64 `json:"interval_ms"` // between two new connections
	TimeoutMS  float64 `json:"timeout_ms"`  // after which a request is lost
}

// Result is what was measured of one variant in all runs of one scenario.
type Result struct {
	Scenario string  `json:"scenario"`
	Variant  Variant `json:"routing"`
	// KubeProxy is how kube-proxy was configured, if that is not what the header says.
	KubeProxy *KubeProxy `json:"kubeProxy,omitempty"`
	Runs      int        `json:"runs"`
	// Date is when it was measured, such as 2026-11-25, and Controller the version of
	// the controller.
	Date       string `json:"date"`
	Controller string `json:"controller"`
	// OutageMS is the time from the last good answer before the first lost request to
	// the first good answer after the last lost request. If none was lost, it is the
	// longest time between two answers.
	OutageMS Quantiles `json:"outage_ms"`
	// AfterDetectionMS is the time from the controller's decision (the Lease's
	// acquireTime) to the first answer of the new master.
	AfterDetectionMS *Quantiles `json:"after_detection_ms,omitempty"`
	// Lost and Sent count the requests over new connections, in all runs, from a
	// second before the cause.
	Lost int `json:"lost"`
	Sent int `json:"sent"`
	// OverlapMSMax is the longest time for which a former master answered connections
	// that were opened after an answer of its successor had arrived.
	OverlapMSMax float64 `json:"overlap_ms_max"`
	Transitions  int     `json:"transitions"` // of the Lease, in all runs
	// Reasons are the reasons of the moves to another pod, in all runs, with the number
	// of each. Results of before 2026-11-30 have none.
	Reasons map[string]int `json:"reasons,omitempty"`
	// KeptMS is how long after the cause the old master still answered a kept-alive
	// connection. KeptToTheEnd is the number of runs in which it still did when the
	// measurement ended.
	KeptMS       *Quantiles `json:"kept_ms,omitempty"`
	KeptToTheEnd int        `json:"kept_to_the_end"`
	// Median and Worst are the runs with the median and the longest outage.
	Median Run `json:"median"`
	Worst  Run `json:"worst"`
}

// Quantiles are those of the runs, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	Max float64 `json:"max"`
}

// Run is what happened in one run. All times are in milliseconds since the
// cause, such as the signal to the master's process.
type Run struct {
	OutageMS float64 `json:"outage_ms"`
	Lost     int     `json:"lost"`
	Steps    Steps   `json:"steps"`
	// Outage is when the outage was.
	Outage *Span `json:"outage,omitempty"`
	// Lanes are what the client saw: a lane for each pod, the old master's first, and
	// a last one for lost requests.
	Lanes []Lane `json:"lanes"`
}

// Steps are when each step of the failover was done. A step that was not seen is nil.
type Steps struct {
	// Noticed is when the API server first said that the old master is no longer
	// Ready, is being deleted, or is gone.
	Noticed *float64 `json:"noticed_ms,omitempty"`
	// Decided is the acquireTime of the new master's Lease.
	Decided *float64 `json:"decided_ms,omitempty"`
	// Published is when the EndpointSlices first listed the new master as ready. Of
	// the plain Service it is when they no longer listed the old pod as ready.
	Published *float64 `json:"published_ms,omitempty"`
	// Answered is when the new master's first answer arrived.
	Answered *float64 `json:"answered_ms,omitempty"`
}

// Lane is when a pod answered, or when requests were lost.
type Lane struct {
	// Pod is "old" for the master before the cause, "new" for its successor, "pod 3"
	// and so on for further pods, and "lost" for lost requests.
	Pod   string `json:"pod"`
	Spans []Span `json:"spans"`
}

// Span is a stretch of time in which requests had the same outcome, from when the
// first was sent to when the last was.
type Span struct {
	From  float64 `json:"from_ms"`
	To    float64 `json:"to_ms"`
	Count int     `json:"count,omitempty"`
}
