package election

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Evidence is how the observation was read that a decision rests on. A decision is first
// made on Cached. Where that does not suffice, what is missing is read, and the decision is
// made again.
type Evidence int

const (
	// Cached is only what the watches have delivered so far. It may be out of date by any amount.
	Cached Evidence = iota
	// PodRead is as Cached, but the holder's pod, and the nodes that seem to be gone, were read
	// from the API server.
	PodRead
	// Live is that the Lease, the Services, the pods, the EndpointSlices and the nodes that seem to
	// be gone or cordoned were read from the API server.
	Live
)

func (e Evidence) String() string {
	return [...]string{"Cached", "PodRead", "Live"}[e]
}

// confirmations say which evidence a decision needs, and why. The first that applies counts.
// If none applies, Cached suffices: a pod that terminates or has ended never recovers, and
// each write applies only to the version of the object that was read.
var confirmations = []struct {
	because string
	need    Evidence
	applies func(v View, d Decision, have Evidence) bool
}{
	{"the cache may not have the Lease yet, and never has one of another owner", Live, func(v View, _ Decision, _ Evidence) bool { return !v.Lease.Exists }},
	{"another replica has acted on a later Lease", Live, func(v View, _ Decision, _ Evidence) bool { return v.Trace.Epoch > v.Lease.Epoch }},
	{"a master that the cache shows may have gone since, as the Lease says", Live, func(v View, d Decision, _ Evidence) bool {
		return v.Lease.Vacant && d.Transition()
	}},
	{"two replicas with different caches would rewrite the Lease in turns", Live, func(v View, _ Decision, _ Evidence) bool { return v.Lease.Outdated && !v.Lease.Foreign }},
	{"a migration goes on from the step at which it is, not from one that is past", Live, func(v View, _ Decision, _ Evidence) bool { return v.Migrating }},
	{"a stamp that is too far ahead of the cached Lease may be of a later one", Live, func(v View, _ Decision, _ Evidence) bool { return v.Doubtful }},
	{"the Services may have pods in common that the cache does not show", Live, func(v View, d Decision, _ Evidence) bool { return v.Divided && d.Transition() }},
	{"a user who edited the Lease has looked at the cluster, not at this cache", Live, func(v View, d Decision, _ Evidence) bool { return d.Refused != nil || d.Next != v.Lease.Next }},
	{"a planned move has time, and a deletion cannot be taken back", Live, func(_ View, d Decision, _ Evidence) bool { return d.Action == Switchover || d.Action == Stop }},
	{"the pod or its labels, or the Service, may be newer than the cache", Live, func(_ View, d Decision, have Evidence) bool {
		return d.Action == Failover && (d.Reason == HolderUnselected || d.Reason == PortMissing || d.Reason == HolderInactive || d.Reason == HolderGone && have != PodRead)
	}},
	{"the Lease does not say which pod is the holder, so that pod cannot be read alone", Live, func(v View, d Decision, _ Evidence) bool { return d.Action == Failover && v.Lease.HolderUID == "" }},
	{"a node may be newer than the cache", Live, func(v View, d Decision, _ Evidence) bool {
		return (d.Reason == NobodyEligible || d.Reason == AwaitingEligible) && slices.ContainsFunc(v.Candidates, Candidate.lacksOnlyNode)
	}},
	{"the pod may have recovered, or been labelled, or its node may be newer than the cache", PodRead, func(v View, d Decision, _ Evidence) bool {
		return slices.Contains([]Reason{HolderNotReady, AddressMissing, HolderExcluded, HolderRefused, NodeGone, NobodyEligible}, d.Reason) && v.shows(v.Lease.HolderUID)
	}},
}

// Confirm returns the least evidence on which the caller may act on the decision, which was
// made on the view; have is the evidence of the view. If have is less, the caller reads what
// is missing and decides again. Live suffices for every decision.
func Confirm(v View, d Decision, have Evidence) Evidence {
	for _, c := range confirmations {
		if c.applies(v, d, have) {
			return c.need
		}
	}
	return Cached
}

// shows reports whether the pod is among the candidates.
func (v View) shows(uid types.UID) bool {
	return slices.ContainsFunc(v.Candidates, func(c Candidate) bool { return c.UID == uid })
}
