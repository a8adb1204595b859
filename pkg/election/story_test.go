package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// scene is a moment of a story: what has changed by then, and what is decided.
type scene struct {
	at         time.Duration
	edit       string
	candidates []Candidate
	want       Decision
}

// In a story each decision is written into the Lease, on which the next decision is made.
func TestStories(t *testing.T) {
	const s, m = time.Second, time.Minute
	stories := map[string]struct {
		lease    Lease
		settings api.Election
		scenes   []scene
	}{
		"an edit while the Lease has to expire": {
			lease: renewed,
			scenes: []scene{
				{0 * s, "", []Candidate{pod("a", notReady), pod("b"), pod("c")}, to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(15 * s)},
				{5 * s, "c", []Candidate{pod("a", notReady), pod("b"), pod("c")}, to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(10 * s)},
				{14 * s, "", []Candidate{pod("a", notReady), pod("b"), pod("c")}, to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(1 * s)},
				{15 * s, "", []Candidate{pod("a", notReady), pod("b"), pod("c")}, to(Switchover, HolderEdited, "c", 5).from("a")},
				{16 * s, "", []Candidate{pod("a"), pod("b"), pod("c")}, to(Hold, HolderEligible, "c", 5)},
			},
		},
		"a master that comes and goes while it is waited for": {
			lease: held("a", 4), settings: tenSeconds,
			scenes: []scene{
				{0 * s, "", []Candidate{pod("a", notReady), pod("b")}, to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(10 * s)},
				{9 * s, "", []Candidate{pod("a"), pod("b")}, to(Hold, HolderEligible, "a", 4)},
				{11 * s, "", []Candidate{pod("a", notReady), pod("b")}, to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(10 * s)},
				{12 * s, "", []Candidate{pod("a", nodeSilent), pod("b")}, to(Hold, AwaitingHolder, "a", 4).though(NodeSilent).again(9 * s)},
				{21 * s, "", []Candidate{pod("a", nodeSilent), pod("b")}, to(Failover, NodeSilent, "b", 5).from("a")},
				{22 * s, "", []Candidate{pod("a"), pod("b", notReady)}, to(Hold, AwaitingHolder, "b", 5).though(HolderNotReady).again(10 * s)},
			},
		},
		"no pod is eligible for longer than a master is waited for": {
			lease: held("a", 4), settings: tenSeconds,
			scenes: []scene{
				{0 * s, "", []Candidate{pod("a", notReady), pod("b", notReady)}, to(Hold, NobodyEligible, "a", 4).though(HolderNotReady)},
				{15 * s, "", []Candidate{pod("a", notReady), pod("b")}, to(Failover, HolderNotReady, "b", 5).from("a")},
			},
		},
		"a switchover by hand, for which the master must stop": {
			lease: held("a", 4), settings: stopping,
			scenes: []scene{
				{0 * s, "c", []Candidate{pod("a"), pod("b"), pod("c")}, to(Stop, HolderEdited, "a", 4).promising("c")},
				{1 * s, "", []Candidate{pod("a", terminating), pod("b"), pod("c")}, to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c")},
				{2 * s, "", []Candidate{pod("a", terminating, notReady), pod("b"), pod("c")}, to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c")},
				{3 * s, "", []Candidate{pod("b"), pod("c")}, to(Switchover, HolderEdited, "c", 5).from("a")},
				{9 * s, "", []Candidate{pod("a", reborn), pod("b"), pod("c")}, to(Hold, HolderEligible, "c", 5)},
			},
		},
		"a switchover by hand lasts for as long as failback waits": {
			lease: held("b", 4), settings: backSoon,
			scenes: []scene{
				{0 * m, "a", []Candidate{pod("a"), pod("b", preferred)}, to(Switchover, HolderEdited, "a", 5).from("b")},
				{4 * m, "", []Candidate{pod("a"), pod("b", preferred)}, to(Hold, HolderEligible, "a", 5).again(6 * m)},
				{10 * m, "", []Candidate{pod("a"), pod("b", preferred)}, to(Switchover, PreferredEligible, "b", 6).from("a")},
				{11 * m, "", []Candidate{pod("a"), pod("b", preferred)}, to(Hold, HolderEligible, "b", 6)},
			},
		},
		"failback, for which the master must stop": {
			lease: held("a", 4), settings: api.Election{AfterTermination: true, DeleteDemoted: true, Failback: after(10 * m)},
			scenes: []scene{
				{0 * m, "", []Candidate{pod("a"), pod("b", preferred, notReady)}, to(Hold, HolderEligible, "a", 4)},
				{1 * m, "", []Candidate{pod("a"), pod("b", preferred, readyFor(-1*m))}, to(Hold, HolderEligible, "a", 4).again(10 * m)},
				{11 * m, "", []Candidate{pod("a"), pod("b", preferred, readyFor(-1*m))}, to(Stop, PreferredEligible, "a", 4)},
				{12 * m, "", []Candidate{pod("a", terminating), pod("b", preferred, readyFor(-1*m))}, to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating)},
				{13 * m, "", []Candidate{pod("b", preferred, readyFor(-1*m))}, to(Failover, HolderGone, "b", 5).from("a")},
			},
		},
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			lease, down := story.lease, time.Time{}
			for _, scene := range story.scenes {
				at := now.Add(scene.at)
				if scene.edit != "" {
					lease = lease.editedTo(scene.edit)
				}
				got := Decide(View{Lease: lease, Candidates: scene.candidates, Settings: story.settings, Now: at, DownSince: down})
				if diff := cmp.Diff(scene.want, got); diff != "" {
					t.Errorf("decision after %s (-want +got):\n%s", scene.at, diff)
				}
				lease = got.written(lease, at)
				switch {
				case got.Ineligible == "":
					down = time.Time{}
				case down.IsZero():
					down = at
				}
			}
		})
	}
}
