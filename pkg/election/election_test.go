package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Pods have been Ready since start. Where the time matters it is now.
var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now   = start.Add(time.Hour)
)

// pod returns an eligible candidate.
func pod(name string, change ...func(*Candidate)) Candidate {
	c := Candidate{Name: name, UID: types.UID("uid-" + name), Ready: true, ReadySince: start, SeenReady: start, Created: start, Workload: "web"}
	for _, f := range change {
		f(&c)
	}
	return c
}

func notReady(c *Candidate)     { c.Ready = false }
func terminating(c *Candidate)  { c.Terminating = true }
func finished(c *Candidate)     { c.Finished = true }
func unselected(c *Candidate)   { c.Unselected = true }
func elsewhere(c *Candidate)    { c.Elsewhere = true }
func designated(c *Candidate)   { c.Designated = true }
func draining(c *Candidate)     { c.Draining = true }
func unmanaged(c *Candidate)    { c.Workload = "" }
func portless(c *Candidate)     { c.Portless = true }
func addressless(c *Candidate)  { c.Addressless = true }
func nodeGone(c *Candidate)     { c.NodeGone = true }
func nodeSilent(c *Candidate)   { c.NodeSilent = true }
func answers(c *Candidate)      { c.Answers = true }
func unresponsive(c *Candidate) { c.Unresponsive = true }
func refused(c *Candidate)      { c.Refused = true }
func inactive(c *Candidate)     { c.Inactive = true }
func excluded(c *Candidate)     { c.Excluded = true }
func preferred(c *Candidate)    { c.Preferred = true }
func identified(c *Candidate)   { c.Identified = true }
func reborn(c *Candidate)       { c.UID += "-2" }

func readyFor(d time.Duration) func(*Candidate) {
	return func(c *Candidate) { c.ReadySince = now.Add(-d); c.SeenReady = c.ReadySince }
}

func revision(hash string, created time.Duration) func(*Candidate) {
	return func(c *Candidate) { c.Revision, c.Created = hash, start.Add(created) }
}

func workload(name, hash string, created time.Duration) func(*Candidate) {
	return func(c *Candidate) { c.Workload, c.Revision, c.Created = name, hash, start.Add(created) }
}

// held is a Lease as the controller has written it.
func held(by string, epoch int32) Lease {
	return Lease{Exists: true, Holder: by, HolderUID: types.UID("uid-" + by), Epoch: epoch}
}

// editedTo is a Lease whose holder a user has changed since.
func (l Lease) editedTo(holder string) Lease {
	l.Holder = holder
	return l
}

// forged is a Lease in which a user has overwritten the UID of the holder.
func (l Lease) forged() Lease {
	l.Forged = true
	return l
}

// promising is a Lease in which the controller has noted the pod that a user asked for.
func (l Lease) promising(next string) Lease {
	l.Next = next
	return l
}

func (l Lease) acquired(ago time.Duration) Lease {
	l.Acquired = now.Add(-ago)
	return l
}

// valid is a Lease that is renewed.
func (l Lease) valid(d time.Duration) Lease {
	l.Duration = d
	return l
}

func routed(to string, epoch int32) Trace {
	return Trace{Stamped: true, Epoch: epoch, HolderUID: types.UID("uid-" + to), HolderEpoch: epoch}
}

func to(action Action, reason Reason, holder string, epoch int32) Decision {
	return Decision{Action: action, Reason: reason, Holder: holder, HolderUID: types.UID("uid-" + holder), Epoch: epoch}
}

func (d Decision) from(previous string) Decision {
	d.Previous = previous
	return d
}

func (d Decision) refusing(holder string, why Reason) Decision {
	d.Refused = &Refusal{holder, why}
	return d
}

// though says why the holder, which is kept, is not eligible.
func (d Decision) though(why Reason) Decision {
	d.Ineligible = why
	return d
}

func (d Decision) promising(next string) Decision {
	d.Next = next
	return d
}

func (d Decision) again(after time.Duration) Decision {
	d.Again = after
	return d
}

// deleting says that the former holder's pod is deleted.
func (d Decision) deleting(name string) Decision {
	d.Demoted = types.UID("uid-" + name)
	return d
}

// decisionTest is a case of TestDecide.
type decisionTest struct {
	view View
	want Decision
	// writes: the Lease must be written for the decision.
	writes bool
}

func TestDecide(t *testing.T) {
	seen := map[Reason]bool{}
	for topic, tests := range map[string]map[string]decisionTest{
		"election": electionTests, "contended": contendedTests, "edit": editTests, "restore": restoreTests, "adoption": adoptionTests, "probes": probeTests,
		"paused": pausedTests, "failback": failbackTests, "failover-delay": delayTests, "lease-duration": expiryTests,
		"after-termination": terminationTests, "edit with after-termination": terminationEditTests, "on-demote": demoteTests,
	} {
		t.Run(topic, func(t *testing.T) {
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					got := Decide(test.view)
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("decision (-want +got):\n%s", diff)
					}
					if writes := got.Writes(test.view.Lease); writes != test.writes {
						t.Errorf("writes the Lease: %v, want %v", writes, test.writes)
					}
					if got.Message() == "" {
						t.Error("no message")
					}
				})
				seen[test.want.Reason] = true
			}
		})
	}
	for _, reason := range []Reason{
		LeaseForeign, HolderEligible, NobodyEligible, AwaitingEligible, LeaseLost, EpochRestored, EditRefused,
		AlreadyDesignated, FirstEligible, HolderEdited, NodeUnschedulable, HolderGone, HolderUnselected, HolderFinished, HolderTerminating, PortMissing, NodeGone, HolderNotReady, AddressMissing, NodeSilent, HolderUnresponsive,
		ElectionPaused, AwaitingHolder, AwaitingExpiry, AwaitingTermination, PreferredEligible, HigherPriority, HolderExcluded, HolderRefused, HolderInactive,
	} {
		if !seen[reason] {
			t.Errorf("no case decides for the reason %s", reason)
		}
	}
}

// electionTests are of masters that come and go.
var electionTests = map[string]decisionTest{
	"a foreign Lease is refused, whatever else there is": {
		view: View{Lease: Lease{Exists: true, Foreign: true, Holder: "a"}, Candidates: []Candidate{pod("a")}},
		want: Decision{Action: Refuse, Reason: LeaseForeign},
	},
	"the first eligible pod becomes the first master": {
		view:   View{Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"without an eligible pod the Lease shows that a master is awaited": {
		view:   View{Candidates: []Candidate{pod("a", notReady)}},
		want:   Decision{Action: Hold, Reason: AwaitingEligible},
		writes: true,
	},
	"a Lease that awaits a master is not written again": {
		view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a", notReady)}},
		want: Decision{Action: Hold, Reason: AwaitingEligible},
	},
	"the awaited master is elected": {
		view:   View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a")}},
		want:   to(Elect, FirstEligible, "a", 1),
		writes: true,
	},
	"the master stays while it is eligible, also if others are better": {
		view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", preferred), pod("b")}},
		want: to(Hold, HolderEligible, "b", 4),
	},
	"a master on an unschedulable node moves to one elsewhere": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b", draining), pod("c")}},
		want:   to(Switchover, NodeUnschedulable, "c", 5).from("a"),
		writes: true,
	},
	"a master on an unschedulable node stays if all others are on such nodes": {
		view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", draining), pod("b", draining)}},
		want: to(Hold, HolderEligible, "b", 4),
	},
	"a master on an unschedulable node stays if those elsewhere are not eligible": {
		view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", notReady), pod("b", draining)}},
		want: to(Hold, HolderEligible, "b", 4),
	},
	"a master on an unschedulable node stays if a move would lose requests": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, MovesLose: true},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a master on an unschedulable node moves also if the Lease was deleted": {
		view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b", draining)}},
		want:   to(Switchover, NodeUnschedulable, "a", 6).from("b"),
		writes: true,
	},
	"a master that fails on an unschedulable node fails over": {
		view:   View{Lease: held("b", 4), Candidates: []Candidate{pod("a"), pod("b", draining, notReady)}},
		want:   to(Failover, HolderNotReady, "a", 5).from("b"),
		writes: true,
	},
	"a master that is not Ready is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a master that terminates is replaced, although it is Ready": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"a master whose containers have ended is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished), pod("b")}},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"a master that the Service no longer selects is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"a master on a silent node is replaced by one elsewhere": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b", nodeSilent), pod("c")}},
		want:   to(Failover, NodeSilent, "c", 5).from("a"),
		writes: true,
	},
	"a master on a silent node is held while no pod elsewhere is eligible": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b", nodeSilent), pod("c", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(NodeSilent),
	},
	"a master whose node is gone is replaced by a pod whose node is not": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeGone), pod("b", nodeGone), pod("c")}},
		want:   to(Failover, NodeGone, "c", 5).from("a"),
		writes: true,
	},
	"a master whose node is gone will not recover, even if it is not Ready": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeGone, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, NodeGone, "b", 5).from("a"),
		writes: true,
	},
	"a master without the Service's port is replaced by a pod that has it": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", portless), pod("b", portless), pod("c")}},
		want:   to(Failover, PortMissing, "c", 5).from("a"),
		writes: true,
	},
	"a master without the Service's port is kept while the pod that has it is not Ready": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", portless), pod("c", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(PortMissing),
	},
	"a pod without the Service's port is not elected": {
		view:   View{Candidates: []Candidate{pod("a", portless), pod("b")}},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"a master without the Service's port can hear of the next one, so that its Lease need not expire": {
		view:   View{Lease: held("a", 4).valid(15 * time.Second), Candidates: []Candidate{pod("a", portless), pod("c")}},
		want:   to(Failover, PortMissing, "c", 5).from("a"),
		writes: true,
	},
	"a master without an address is replaced by a pod that has one": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", addressless), pod("b", addressless), pod("c")}},
		want:   to(Failover, AddressMissing, "c", 5).from("a"),
		writes: true,
	},
	"a pod without an address is not elected": {
		view:   View{Candidates: []Candidate{pod("a", addressless), pod("b")}},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"a pod whose node is gone is not elected": {
		view:   View{Candidates: []Candidate{pod("a", nodeGone)}},
		want:   Decision{Action: Hold, Reason: AwaitingEligible},
		writes: true,
	},
	"a master on an unschedulable node stays if the Service says so": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: api.Election{StayOnCordon: true}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a master that fails goes to a node that is not unschedulable, even if cordons move no master": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", draining), pod("c")}, Settings: api.Election{StayOnCordon: true}},
		want:   to(Failover, HolderNotReady, "c", 5).from("a"),
		writes: true,
	},
	"an edit to a pod on an unschedulable node is followed if cordons move no master": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}, Settings: api.Election{StayOnCordon: true}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"a master that is gone is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"a pod re-created under the master's name is another pod": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", reborn)}},
		want: Decision{
			Action: Failover, Reason: HolderGone, Holder: "a", HolderUID: "uid-a-2", Epoch: 5,
			Previous: "a",
		},
		writes: true,
	},
	"a master that cannot serve is held while no other pod can": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", terminating)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a master that is gone is held while no pod is eligible": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderGone),
	},

	"a pod that is kept from being master is not elected": {
		view:   View{Candidates: []Candidate{pod("a", excluded), pod("b")}},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"a pod that is kept from being master is not elected even if there is no other": {
		view:   View{Candidates: []Candidate{pod("a", excluded)}},
		want:   Decision{Action: Hold, Reason: AwaitingEligible},
		writes: true,
	},
	"a master that must no longer be master is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}},
		want:   to(Failover, HolderExcluded, "b", 5).from("a"),
		writes: true,
	},
	"a master that must no longer be master is held while no other pod is eligible": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderExcluded),
	},
}

// written is the Lease with the decision in it, as the controller writes it.
func (d Decision) written(lease Lease, at time.Time) Lease {
	if d.HolderUID != lease.HolderUID {
		lease.Acquired = at
	}
	lease.Exists, lease.Holder, lease.HolderUID, lease.Epoch, lease.Next = true, d.Holder, d.HolderUID, d.Epoch, d.Next
	return lease
}
