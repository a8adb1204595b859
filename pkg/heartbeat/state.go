package heartbeat

import (
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
)

// node is what is known of a node's heartbeat. Times are those of this process,
// so that clocks that differ between nodes do not matter.
type node struct {
	// renewed is when a renewal was last heard of.
	renewed time.Time
	// renewTime is what the Lease said then; zero if there is no Lease. Nothing can
	// be said of such a node.
	renewTime time.Time
	// interval is how often the kubelet renews.
	interval time.Duration
	// dead is so from when its silence was confirmed until it is heard again.
	dead bool
}

// kubeletInterval is how often kubelet renews by default: at a quarter of the
// Lease's duration of 40 s (nodeLeaseRenewIntervalFraction in k8s.io/kubernetes/pkg/kubelet).
const kubeletInterval = 10 * time.Second

// heard says whether a dead node is heard again. What is not new, as after a
// watch that was cut off, is no heartbeat; what is need not be later, as a node's
// clock may be set back.
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

// counts says whether there is anything to be said of the node.
func (n *node) counts() bool { return !n.renewTime.IsZero() && !n.dead }

// regular says whether the latest renewal came when it should. Kubelets add up to
// 4 % to their interval; one that finds the API server down for longer than its
// interval is later than a tenth.
func (n *node) regular(now time.Time) bool {
	return now.Sub(n.renewed) <= n.interval*11/10
}

// watcher is since when silence says something.
type watcher struct {
	// telling is since when most nodes have been heard regularly: a node that is
	// silent can be told from an API server that is.
	telling time.Time
	// looked is when suspects was last called.
	looked time.Time
}

// suspects are the nodes that have been silent for the timeout, or for two and a
// half of their intervals if that is longer; all of it while that was telling.
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
	// Most of the others, that is; one node alone has none. And a process that was
	// suspended has heard nobody.
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

func (w *watcher) silent(n *node, timeout time.Duration, now time.Time) bool {
	since := n.renewed
	if w.telling.After(since) {
		since = w.telling
	}
	return n.counts() && now.Sub(since) > max(timeout, n.interval*5/2)
}
