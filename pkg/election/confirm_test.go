package election

import (
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func (l Lease) outdated() Lease {
	l.Outdated = true
	return l
}

func migrating(v View) View {
	v.Migrating = true
	return v
}

func divided(v View) View {
	v.Divided = true
	return v
}

// confirmTest is a view and the evidence that suffices to act on its decision. have is the
// evidence of the view.
type confirmTest struct {
	view View
	have Evidence
	want Evidence
}

func TestConfirm(t *testing.T) {
	foreign := Lease{Exists: true, Foreign: true, Holder: "other"}
	failing := []Candidate{pod("a", notReady), pod("b")}
	for topic, tests := range map[string]map[string]confirmTest{
		"what the watches tell suffices": {
			"a master that is eligible stays":             {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}}},
			"a master that terminates is replaced":        {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}}},
			"a master that has ended is replaced":         {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished), pod("b")}}},
			"a master on a silent node is replaced":       {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}}},
			"a master that does not answer is replaced":   {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}}},
			"a first master is elected":                   {view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a")}}},
			"a master is awaited":                         {view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a", notReady)}}},
			"a master that is not Ready is waited for":    {view: View{Now: now, Lease: held("a", 4), Candidates: failing, Settings: tenSeconds}},
			"a holder that is gone, and none can follow":  {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b", notReady)}}},
			"a foreign Lease is left alone":               {view: View{Lease: foreign, Candidates: []Candidate{pod("a")}}},
			"a foreign Lease is never brought up to date": {view: View{Lease: Lease{Exists: true, Foreign: true, Outdated: true}, Candidates: []Candidate{pod("a")}}},
			"an epoch that was raised is kept":            {view: View{Lease: held("a", 5), Trace: routed("a", 4), Candidates: []Candidate{pod("a")}}},
		},
		"there is no Lease": {
			"a first master":                 {view: View{Candidates: []Candidate{pod("a")}}, want: Live},
			"a Lease that is to be restored": {view: View{Trace: routed("a", 4), Candidates: []Candidate{pod("a")}}, want: Live},
			"a Service without any pod":      {view: View{}, want: Live},
		},
		"another replica has acted on a later Lease": {
			"the master is the same":          {view: View{Lease: held("a", 4), Trace: routed("a", 5), Candidates: []Candidate{pod("a")}}, want: Live},
			"the master is another":           {view: View{Lease: held("a", 4), Trace: routed("b", 5), Candidates: []Candidate{pod("a"), pod("b")}}, want: Live},
			"the master terminates":           {view: View{Lease: held("a", 4), Trace: routed("b", 5), Candidates: []Candidate{pod("a", terminating), pod("b")}}, want: Live},
			"the pod was read, not the Lease": {view: View{Lease: held("a", 4), Trace: routed("a", 5), Candidates: failing}, have: PodRead, want: Live},
		},
		"the Lease says that there is no master, and the cache shows an earlier one": {
			"another is elected":            {view: View{Lease: Lease{Exists: true, Epoch: 3, Vacant: true}, Trace: routed("a", 1), Candidates: []Candidate{pod("a"), pod("b")}}, want: Live},
			"nobody is eligible":            {view: View{Lease: Lease{Exists: true, Epoch: 3, Vacant: true}, Trace: routed("a", 1), Candidates: []Candidate{pod("a", notReady)}}},
			"the Lease is of the same time": {view: View{Lease: Lease{Exists: true, Epoch: 3}, Trace: routed("a", 3), Candidates: []Candidate{pod("a"), pod("b")}}},
		},
		"the Lease's owners or duration are not what the Services ask": {
			"the master stays":      {view: View{Lease: held("a", 4).outdated(), Candidates: []Candidate{pod("a")}}, want: Live},
			"the master terminates": {view: View{Lease: held("a", 4).outdated(), Candidates: []Candidate{pod("a", terminating), pod("b")}}, want: Live},
		},
		"the master cannot be labelled, as far as this replica knows": {
			"its pod was not read": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", refused), pod("b")}}, want: PodRead},
			"its pod was read":     {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", refused), pod("b")}}, have: PodRead, want: PodRead},
		},
		"a Service takes no part, because it selects no pod of the others": {
			"the master stays":        {view: divided(View{Lease: held("a", 4), Candidates: []Candidate{pod("a")}})},
			"the master terminates":   {view: divided(View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}}), want: Live},
			"there is a first master": {view: divided(View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a")}}), want: Live},
		},
		"a Service changes its routing": {
			"the master stays":      {view: migrating(View{Lease: held("a", 4), Candidates: []Candidate{pod("a")}}), want: Live},
			"the master terminates": {view: migrating(View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}}), want: Live},
		},
		"the master's node is cordoned": {
			"the master moves, as planned":                       {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}}, want: Live},
			"the master moves, and its pod was read":             {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}}, have: PodRead, want: Live},
			"a user has asked for a pod meanwhile":               {view: View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", draining), pod("b"), pod("c", notReady)}}, want: Live},
			"the master cannot be moved without loss, and stays": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, MovesLose: true}},
		},
		"the holder was edited": {
			"the holder was edited to a pod that follows":                                    {view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}}, want: Live},
			"the holder was edited to a pod that cannot be master":                           {view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", notReady)}}, want: Live},
			"the holder was edited to a pod that cannot be master, and the master has ended": {view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", finished), pod("b", notReady), pod("c")}}, want: Live},
			"the holder was edited to a pod that must wait":                                  {view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: untilStopped}, want: Live},
			"the pod that was asked for must still wait":                                     {view: View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: untilStopped}},
			"the pod that was asked for follows now":                                         {view: View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("b"), pod("c")}, Settings: untilStopped}, want: Live},
		},
		"a move is planned": {
			"a failback": {view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{Failback: after(0)}}, want: Live},
			"a failback, and the master's pod was read":            {view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{Failback: after(0)}}, have: PodRead, want: Live},
			"a master that is asked to stop":                       {view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: failing, Settings: stopping}, want: Live},
			"a master that is asked to stop, and its pod was read": {view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: failing, Settings: stopping}, have: PodRead, want: Live},
		},
		"no pod can be master because nodes are gone": {
			"the nodes of all pods are gone":         {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeGone), pod("b", nodeGone)}}, want: Live},
			"the node of the only Ready pod is gone": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", nodeGone)}}, have: PodRead, want: Live},
			"the node of the first pod is gone":      {view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a", nodeGone)}}, want: Live},
			"the pod is not Ready either":            {view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a", nodeGone, notReady)}}},
		},
		"a stamp does not count": {
			"the Lease may be newer than the cache": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}, Doubtful: true}, want: Live},
			"it was read":                           {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}, Doubtful: true}, have: Live, want: Live},
		},
		"the master has none of the Service's ports": {
			"the Service may be newer than the cache": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", portless), pod("b")}}, want: Live},
		},
		"another election has made the master a standby": {
			"the pod may be newer than the cache": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", inactive), pod("b")}}, want: Live},
		},
		"the master is no longer selected, or gone": {
			"the master is no longer selected":                       {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}}, want: Live},
			"the master is no longer selected, and the pod was read": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}}, have: PodRead, want: Live},
			"the master is gone":                                     {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}}, want: Live},
			"the master is gone, which was read":                     {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}}, have: PodRead},
		},
		"the Lease does not name the master's pod": {
			"the master is not Ready":                     {view: View{Lease: Lease{Exists: true, Holder: "a", Epoch: 4}, Trace: routed("a", 4), Candidates: failing}, want: Live},
			"the master is not Ready, and a pod was read": {view: View{Lease: Lease{Exists: true, Holder: "a", Epoch: 4}, Trace: routed("a", 4), Candidates: failing}, have: PodRead, want: Live},
			"the master is eligible, and is named":        {view: View{Lease: Lease{Exists: true, Holder: "a", Epoch: 4}, Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}}},
		},
		"the master may have recovered": {
			"the master is not Ready":                      {view: View{Lease: held("a", 4), Candidates: failing}, want: PodRead},
			"the master was read not to be Ready":          {view: View{Lease: held("a", 4), Candidates: failing}, have: PodRead, want: PodRead},
			"the master's node is gone":                    {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeGone), pod("b")}}, want: PodRead},
			"the master is not Ready, its node is gone":    {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeGone, notReady), pod("b", notReady)}}, want: PodRead},
			"the master is kept from being master":         {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}}, want: PodRead},
			"the master is not Ready, and no other pod is": {view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}}, want: PodRead},
			"everything was read":                          {view: View{Lease: held("a", 4), Candidates: failing}, have: Live, want: PodRead},
		},
	} {
		t.Run(topic, func(t *testing.T) {
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					d := Decide(test.view)
					if got := Confirm(test.view, d, test.have); got != test.want {
						t.Errorf("%s for %s needs %s, want %s", d.Action, d.Reason, got, test.want)
					}
					if have := max(test.have, test.want); Confirm(test.view, d, have) > have {
						t.Errorf("%s is asked for, and does not suffice", have)
					}
				})
			}
		})
	}
}

func TestEvidenceString(t *testing.T) {
	for evidence, want := range map[Evidence]string{Cached: "Cached", PodRead: "PodRead", Live: "Live"} {
		if got := evidence.String(); got != want {
			t.Errorf("%d is %q, want %q", evidence, got, want)
		}
	}
}
