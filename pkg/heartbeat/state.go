package heartbeat

import (
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
)

// node is what is known of a node's heartbeat. All times but renewTime are from this
// process's clock, so that it does not matter whether the nodes' clocks are right.
type node struct {
	// renewed is when the latest renewal was heard.
	renewed time.Time
	// renewTime is what the Lease said then, by the node's clock; zero if no Lease with a
	// time was seen. Such a node does not count.
	renewTime time.Time
	// interval is how often the kubelet renews.
	interval time.Duration
	// dead is true from the time at which the node's silence was confirmed until the node
	// is heard again.
	dead bool
}

// kubeletInterval is how often kubelet renews by default: at a quarter of the
// Lease's duration of 40 s (nodeLeaseRenewIntervalFraction in k8s.io/kubernetes/pkg/kubelet).
const kubeletInterval = 10 * time.Second

// heard records a Lease that was seen, and reports whether a dead node lives again. A
// renewTime that was seen before is no heartbeat: a watch that begins anew, after it was
// cut off, shows it again. Any other renewTime is one, even an earlier one, because a
// node's clock may be set back.
func (n *node) heard(lease coordinationv1.LeaseSpec, now time.Time) (revived bool) {
	quarter := time.Duration(ptr.Deref(lease.LeaseDurationSeconds, 0)) * time.Second / 4
	n.interval = max(quarter, kubeletInterval)
	if lease.RenewTime == nil || lease.RenewTime.Time.Equal(n.renewTime) {
		return false
	}
	revived = n.dead
	n.renewTime, n.renewed, n.dead = lease.RenewTime.Time, now, false
	return revived
}

// counts reports whether the node's silence would show anything: it has been heard, and
// is not dead already.
func (n *node) counts() bool { return !n.renewTime.IsZero() && !n.dead }

// regular reports whether the latest renewal is no older than an interval and a tenth.
// Kubelets add up to 4 % to their interval. A kubelet that finds the API server down for
// longer than its interval is later than a tenth.
func (n *node) regular(now time.Time) bool {
	return now.Sub(n.renewed) <= n.interval*11/10
}

// watcher knows since when the silence of a node shows that the node is dead.
type watcher struct {
	// telling is since when most nodes have been heard regularly. From then on, a silent
	// node can be told from a silent API server.
	telling time.Time
	// looked is when suspects was last called.
	looked time.Time
}

// suspects returns the nodes that are silent, in order. It must be called at each tick.
func (w *watcher) suspects(nodes map[string]*node, timeout time.Duration, now time.Time) (names []string) {
	counted, regular := 0, 0
	for _, n := range nodes {
		if !n.counts() {
			continue
		}
		counted++
		if n.regular(now) {
			regular++
		}
	}
	// Silence is telling if more than half of the other nodes are regular. A node that is
	// alone has no others, so its silence never is. A process that was suspended has heard
	// no node meanwhile.
	if 2*regular <= counted-1 || now.Sub(w.looked) > 3*tick {
		w.telling = now
	}
	w.looked = now
	for name, n := range nodes {
		if w.silent(n, timeout, now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// silent reports whether a node has been silent for longer than the timeout, and than two
// and a half of its intervals, all of that while silence was telling.
func (w *watcher) silent(n *node, timeout time.Duration, now time.Time) bool {
	since := n.renewed
	if w.telling.After(since) {
		since = w.telling
	}
	return n.counts() && now.Sub(since) > max(timeout, n.interval*5/2)
}
