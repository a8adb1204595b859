package election

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// FuzzDecide makes a view of each input and checks what must hold of every
// decision, whatever was observed.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{1, 1, 1, 4, 4, 1, 7, 0, 2, 7, 0})
	f.Add([]byte{0, 0, 0, 0, 9, 3, 3, 1, 0, 15, 2})
	f.Fuzz(func(t *testing.T, input []byte) {
		view := viewOf(input)
		d := Decide(view)
		if d.Message() == "" {
			t.Error("no message")
		}
		if d.Action == Refuse {
			if !view.Lease.Foreign {
				t.Fatal("refused an election whose Lease is not foreign")
			}
			return
		}
		if d.Epoch < view.Lease.Epoch || d.Epoch < view.Trace.Epoch {
			t.Errorf("the epoch falls to %d from %d and %d", d.Epoch, view.Lease.Epoch, view.Trace.Epoch)
		}
		if d.HolderUID != "" && d.HolderUID != view.Lease.HolderUID && d.HolderUID != view.Trace.HolderUID &&
			(d.Epoch == view.Lease.Epoch || d.Epoch == view.Trace.Epoch) {
			t.Errorf("epoch %d is used again, for %s", d.Epoch, d.HolderUID)
		}
		view.Candidates = believable(view.Candidates)
		var holder, incumbent *Candidate
		for i, c := range view.Candidates {
			if c.UID == d.HolderUID {
				holder = &view.Candidates[i]
			}
			if view.Lease.Exists && c.UID == view.Lease.HolderUID {
				incumbent = &view.Candidates[i]
			}
		}
		if d.Transition() && (holder == nil || holder.Ineligible() != "") {
			t.Errorf("%s was elected, which is not eligible", d.Holder)
		}
		left := incumbent != nil && incumbent.Draining && holder != nil && !holder.Draining && !view.MovesLose
		if incumbent != nil && incumbent.Ineligible() == "" && view.Lease.Holder == incumbent.Name && d.HolderUID != incumbent.UID && !left {
			t.Errorf("the master moved needlessly from %s to %s", incumbent.Name, d.Holder)
		}
		view.Lease = Lease{Exists: true, Holder: d.Holder, HolderUID: d.HolderUID, Epoch: d.Epoch}
		// Who was master before the controller is adopted first, and moved then.
		if again := Decide(view); again.Writes(view.Lease) && (d.Action != Adopt || again.Reason != NodeUnschedulable) {
			t.Errorf("the decision %+v does not last: %+v", d, again)
		}
	})
}

// viewOf reads a view from bytes; what is missing is zero.
func viewOf(input []byte) View {
	next := func() byte {
		if len(input) == 0 {
			return 0
		}
		b := input[0]
		input = input[1:]
		return b
	}
	names := []string{"", "a", "b", "c", "d"}
	uids := []types.UID{"", "1", "2", "3", "4", "5"}
	view := View{}
	if flags := next(); flags&1 != 0 {
		view.Lease.Exists, view.Lease.Foreign = true, flags&2 != 0
		view.Lease.Holder, view.Lease.HolderUID = names[int(next())%len(names)], uids[int(next())%len(uids)]
		view.Lease.Epoch = int32(next())
	}
	view.MovesLose = next()&1 != 0
	view.Trace = Trace{Epoch: int32(next()), HolderUID: uids[int(next())%len(uids)]}
	// A name and a UID are each only one pod's.
	for i := range min(int(next()), 4) {
		flags := next()
		bit := func(n int) bool { return flags&(1<<n) != 0 }
		view.Candidates = append(view.Candidates, Candidate{
			Name: names[1+i], UID: uids[1+(i+int(next()))%4],
			Ready: !bit(0), Terminating: bit(1), Finished: bit(2), Unselected: bit(3),
			Draining: bit(4), Preferred: bit(5), Identified: bit(6), Designated: bit(7),
			ReadySince: time.Unix(int64(next()), 0), NodeSilent: next()&3 == 3,
		})
		probed := &view.Candidates[i]
		switch next() & 3 {
		case 1:
			probed.Answers = true
		case 2:
			probed.Unresponsive = true
		}
	}
	seen := map[types.UID]bool{}
	for i := range view.Candidates {
		for seen[view.Candidates[i].UID] {
			view.Candidates[i].UID += "'"
		}
		seen[view.Candidates[i].UID] = true
	}
	return view
}
