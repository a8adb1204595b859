// Package results says what was measured of failovers: the types of
// docs/failover/results.json and the analysis that fills them. It is pure.
package results

// File is the whole of results.json.
type File struct {
	Header  Header   `json:"header"`
	Results []Result `json:"results"`
}

// Header says on what was measured.
type Header struct {
	Kubernetes string    `json:"kubernetes"` // the version of the API server
	Nodes      int       `json:"nodes"`      // of the cluster, the control plane among them
	CPUs       int       `json:"cpus"`       // that the nodes, the clients and the pods share
	KubeProxy  KubeProxy `json:"kubeProxy"`
	Readiness  Readiness `json:"readiness"`
	Client     Client    `json:"client"`
	Probe      Probe     `json:"probe,omitzero"`
}

// KubeProxy is how the nodes' kube-proxy is set.
type KubeProxy struct {
	Mode          string `json:"mode"`          // such as iptables
	MinSyncPeriod string `json:"minSyncPeriod"` // the least time between two of its updates, such as 1s
}

// Readiness is the readiness probe of the measured pods.
type Readiness struct {
	PeriodSeconds    int32 `json:"periodSeconds"`
	TimeoutSeconds   int32 `json:"timeoutSeconds"`
	FailureThreshold int32 `json:"failureThreshold"`
}

// Probe is the controller's own probe of the variants that have one.
type Probe struct {
	URL        string  `json:"url"`         // what is asked for, such as http://:8080/ready
	IntervalMS float64 `json:"interval_ms"` // between two questions
	TimeoutMS  float64 `json:"timeout_ms"`  // for an answer
	Failures   int     `json:"failures"`    // in a row that make the master suspected
}

// Client is how the measuring client asks.
type Client struct {
	IntervalMS float64 `json:"interval_ms"` // between two new connections
	TimeoutMS  float64 `json:"timeout_ms"`  // after which a request is lost
}

// Result is what was measured in one scenario of one variant, in all runs.
type Result struct {
	Scenario string  `json:"scenario"`
	Variant  Variant `json:"routing"`
	Runs     int     `json:"runs"`
	// Date and Controller say when it was measured, such as 2026-11-25, and of which
	// version of the controller.
	Date       string `json:"date"`
	Controller string `json:"controller"`
	// OutageMS is the time from the last good answer before the first lost request
	// to the first one after the last. If none was lost, it is the longest time
	// between two answers.
	OutageMS Quantiles `json:"outage_ms"`
	// AfterDetectionMS is the time from the controller's decision (the Lease's
	// acquireTime) to the first answer of the new master.
	AfterDetectionMS *Quantiles `json:"after_detection_ms,omitempty"`
	// Lost and Sent count the requests over new connections, in all runs, from a
	// second before the cause on.
	Lost int `json:"lost"`
	Sent int `json:"sent"`
	// OverlapMSMax is for how long the old master answered to connections that
	// were opened after an answer of the new one had arrived.
	OverlapMSMax float64 `json:"overlap_ms_max"`
	Transitions  int     `json:"transitions"` // of the Lease, in all runs
	// KeptMS is for how long after the cause a kept-alive connection was still
	// answered by the old master, and KeptToTheEnd in how many runs it still was
	// when the measurement ended.
	KeptMS       *Quantiles `json:"kept_ms,omitempty"`
	KeptToTheEnd int        `json:"kept_to_the_end"`
	// Median and Worst are the runs of that outage.
	Median Run `json:"median"`
	Worst  Run `json:"worst"`
}

// Quantiles of the runs, in milliseconds.
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
	// Outage is when that was.
	Outage *Span `json:"outage,omitempty"`
	// Lanes are what the client saw, one for each pod, the old master's first,
	// and a last one for lost requests.
	Lanes []Lane `json:"lanes"`
}

// Steps say how far the news had come when; nil for what was not seen.
type Steps struct {
	// Noticed is when the API server first said that the old master is no longer
	// Ready, is being deleted, or is gone.
	Noticed *float64 `json:"noticed_ms,omitempty"`
	// Decided is the acquireTime of the new master's Lease.
	Decided *float64 `json:"decided_ms,omitempty"`
	// Published is when the EndpointSlices first listed the new master as ready;
	// of the plain Service, when they no longer listed the old pod so.
	Published *float64 `json:"published_ms,omitempty"`
	// Answered is when the new master's first answer arrived.
	Answered *float64 `json:"answered_ms,omitempty"`
}

// Lane is when a pod answered, or when requests were lost.
type Lane struct {
	// Pod is "old" for the master before the cause, "new" for its successor,
	// "pod 3" and so on for further ones, and "lost" for requests that nobody answered.
	Pod   string `json:"pod"`
	Spans []Span `json:"spans"`
}

// Span is a stretch of time in which the same happened again and again: from the
// first such request's sending to the last one's.
type Span struct {
	From  float64 `json:"from_ms"`
	To    float64 `json:"to_ms"`
	Count int     `json:"count,omitempty"`
}
