package election

import (
	"cmp"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// FuzzDecide makes a view of each input and checks what must hold of every
// decision, whatever was observed.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{1, 1, 1, 4, 4, 1, 7, 0, 2, 7, 0})
	f.Add([]byte{0, 0, 0, 0, 9, 3, 3, 1, 0, 15, 2})
	random := rand.New(rand.NewPCG(1, 2))
	for range 6000 {
		// With fewer bits set more pods are eligible; and most have a Lease.
		input := make([]byte, 60)
		for i := range input {
			input[i] = byte(random.Uint32() & random.Uint32())
		}
		input[0] |= byte(random.Uint32()) & 0b1001
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		view := viewOf(input)
		d := Decide(view)
		if d.Message() == "" {
			t.Error("no message")
		}
		c := checked{t, view, d, nil, nil}
		c.confirming()
		if d.Action == Refuse {
			if !view.Lease.Foreign {
				t.Fatal("refused an election whose Lease is not foreign")
			}
			return
		}
		believed := believable(view.Candidates)
		for i := range believed {
			if believed[i].UID == d.HolderUID {
				c.holder = &believed[i]
			}
			if believed[i].UID == cmp.Or(view.Lease.HolderUID, view.Trace.HolderUID) {
				c.incumbent = &believed[i]
			}
		}
		c.epoch()
		c.transition()
		c.waiting()
		c.deleting()
		c.lasting()
	})
}

// checked is a decision that is checked. The pods are as believable returns them.
type checked struct {
	*testing.T
	view              View
	d                 Decision
	holder, incumbent *Candidate
}

func (c checked) epoch() {
	d, view := c.d, c.view
	if d.Epoch < view.Lease.Epoch || d.Epoch < view.Trace.Epoch {
		c.Errorf("the epoch falls to %d from %d and %d", d.Epoch, view.Lease.Epoch, view.Trace.Epoch)
	}
	if !view.Lease.Exists && d.Epoch < view.Trace.Epoch+2 {
		c.Errorf("the epoch %d follows %d, though the Lease that is gone may have said it", d.Epoch, view.Trace.Epoch)
	}
	if d.HolderUID != "" && d.HolderUID != view.Lease.HolderUID && d.HolderUID != view.Trace.HolderUID &&
		(d.Epoch == view.Lease.Epoch || d.Epoch == view.Trace.Epoch) {
		c.Errorf("epoch %d is used again, for %s", d.Epoch, d.HolderUID)
	}
}

// transition checks which pod may become master, and when.
func (c checked) transition() {
	d, settings := c.d, c.view.Settings
	if !d.Transition() {
		c.kept()
		return
	}
	if !d.Reason.Moves() {
		c.Errorf("the master moved because of %s, which is no reason to", d.Reason)
	}
	if c.holder == nil || c.holder.Ineligible() != "" {
		c.Fatalf("%s was elected, which is not eligible", d.Holder)
	}
	if c.incumbent != nil && c.incumbent.UID == d.HolderUID {
		c.Errorf("the master moved from %s to itself", d.Holder)
	}
	if settings.Paused {
		c.Errorf("the master moved to %s although the election is paused", d.Holder)
	}
	down, since := !c.view.DownSince.IsZero(), c.view.Now.Sub(c.view.DownSince)
	switch i := c.incumbent; {
	case i == nil || i.Finished:
	case settings.AfterTermination:
		c.Errorf("the master moved from %s, which has not stopped", i.Name)
	case c.view.Lease.Duration > 0 && (!i.Ready || i.NodeGone || i.NodeSilent || i.Unresponsive) && (!down || since < c.view.Lease.Duration):
		c.Errorf("the master moved from %s, which may believe in its Lease", i.Name)
	case d.Action == Failover && i.Ineligible().recovers() && settings.FailoverDelay > 0 && (!down || since < settings.FailoverDelay):
		c.Errorf("the master moved from %s, which must be waited for", i.Name)
	case i.Ineligible() != "" || d.Reason == HolderEdited:
	case d.Reason == NodeUnschedulable:
		if !i.Draining || c.holder.Draining || c.view.MovesLose || settings.StayOnCordon {
			c.Errorf("the master left %s for %s", i.Name, d.Holder)
		}
	case d.Reason == HigherPriority:
		if settings.Failback == nil || c.holder.Priority <= i.Priority || c.view.Now.Sub(c.holder.HigherSince) < max(*settings.Failback, failbackPause) ||
			c.view.Now.Sub(c.holder.SeenReady) < *settings.Failback || c.view.Now.Sub(c.view.Lease.Acquired) < max(*settings.Failback, failbackPause) {
			c.Errorf("the master moved by priority from %s to %s", i.Name, d.Holder)
		}
	case d.Reason == PreferredEligible:
		if settings.Failback == nil || i.Priority != c.holder.Priority || i.Preferred || !c.holder.Preferred ||
			c.view.Now.Sub(c.holder.SeenReady) < *settings.Failback || c.view.Now.Sub(c.view.Lease.Acquired) < *settings.Failback {
			c.Errorf("the master moved back from %s to %s", i.Name, d.Holder)
		}
	default:
		c.Errorf("the master moved needlessly from %s to %s", i.Name, d.Holder)
	}
}

// kept checks a decision that leaves the master.
func (c checked) kept() {
	d, want := c.d, Reason("")
	switch {
	case c.holder != nil:
		want = c.holder.Ineligible()
	case d.HolderUID != "":
		want = HolderGone
	}
	silent := c.holder != nil && c.holder.Terminating && c.holder.NodeSilent
	if d.Ineligible != want && (!silent || d.Ineligible != NodeSilent) {
		c.Errorf("the holder %s is said not to be eligible for %q, want %q", d.Holder, d.Ineligible, want)
	}
	if d.Action != Adopt && d.HolderUID != "" && d.HolderUID != cmp.Or(c.view.Lease.HolderUID, c.view.Trace.HolderUID) {
		c.Errorf("%s became master by %s", d.Holder, d.Action)
	}
}

// waiting checks what must wait.
func (c checked) waiting() {
	d := c.d
	if d.Again < 0 || d.Again > 0 && d.Action != Hold && d.Action != Restore {
		c.Errorf("%s looks again after %s", d.Action, d.Again)
	}
	if d.Next == "" {
		return
	}
	if d.Transition() || d.Next == d.Holder || d.Next != c.view.Lease.Holder && d.Next != c.view.Lease.Next {
		c.Errorf("%s makes %s wait", d.Action, d.Next)
	}
	for _, candidate := range believable(c.view.Candidates) {
		if candidate.Name == d.Next && candidate.Ineligible() != "" {
			c.Errorf("%s waits, which is not eligible", d.Next)
		}
	}
}

// deleting checks which pods the controller deletes.
func (c checked) deleting() {
	d, settings, i := c.d, c.view.Settings, c.incumbent
	may := settings.DeleteDemoted && !settings.Paused && i != nil && !i.Terminating && !i.Finished && !i.Unselected && i.Workload != ""
	if d.Action == Stop && (!may || !settings.AfterTermination || d.HolderUID != i.UID) {
		c.Errorf("%s is deleted while it is master", d.Holder)
	}
	if d.Action == Stop && best(believable(c.view.Candidates)) == nil {
		c.Errorf("%s is deleted, and no pod could follow", d.Holder)
	}
	want := types.UID("")
	if d.Transition() && may {
		want = i.UID
	}
	if d.Demoted != want {
		c.Errorf("%q is deleted after it was master, want %q", d.Demoted, want)
	}
}

// confirming checks which evidence the decision needs.
func (c checked) confirming() {
	d := c.d
	for have := Cached; have <= Live; have++ {
		need := max(have, Confirm(c.view, d, have))
		if again := Confirm(c.view, d, need); need > Live || again > need {
			c.Errorf("on %s, %s for %s needs %s, and then %s", have, d.Action, d.Reason, need, again)
		}
	}
	planned := d.Action == Stop || d.Action == Switchover
	if need := Confirm(c.view, d, Cached); need != Live && (planned || d.Refused != nil || !c.view.Lease.Exists || c.view.Trace.Epoch > c.view.Lease.Epoch) {
		c.Errorf("%s for %s needs no more than %s", d.Action, d.Reason, need)
	}
	if (d.Reason == HolderNotReady || d.Reason == NodeGone) && Confirm(c.view, d, Cached) == Cached {
		c.Errorf("%s is taken for not Ready on the word of a cache", d.Previous)
	}
}

// lasting checks that the decision, once written, is made again and writes nothing.
func (c checked) lasting() {
	d, view := c.d, c.view
	view.Lease = d.written(view.Lease, view.Now)
	switch {
	case d.Ineligible == "":
		view.DownSince = time.Time{}
	case view.DownSince.IsZero():
		view.DownSince = view.Now
	}
	again := Decide(view)
	// The predecessor's master is adopted first, and then moved.
	if again.Writes(view.Lease) && (d.Action != Adopt || again.Reason != NodeUnschedulable && again.Reason != PreferredEligible && again.Reason != HigherPriority) {
		c.Errorf("the decision %+v does not last: %+v", d, again)
	}
	if again.Again == 0 {
		return
	}
	view.Now = view.Now.Add(again.Again - 1)
	if before := Decide(view); before.Transition() || before.Action == Stop || before.Again != 1 {
		c.Errorf("before the time to look again after %s has passed something is decided: %+v", again.Again, before)
	}
	view.Now = view.Now.Add(1)
	if then := Decide(view); then.Action == again.Action && then.Reason == again.Reason {
		c.Errorf("after the time to look again after %s has passed nothing else is decided: %+v", again.Again, then)
	}
}

// reader reads values from bytes; what is missing is zero.
type reader []byte

func (r *reader) next() byte {
	if len(*r) == 0 {
		return 0
	}
	b := (*r)[0]
	*r = (*r)[1:]
	return b
}

func (r *reader) seconds() time.Duration { return time.Duration(r.next()) * time.Second }

func (r *reader) bits() func(n int) bool {
	b := r.next()
	return func(n int) bool { return b&(1<<n) != 0 }
}

func viewOf(input []byte) View {
	r := reader(input)
	names := []string{"", "a", "b", "c", "d"}
	uids := []types.UID{"", "1", "2", "3", "4", "5"}
	name := func() string { return names[int(r.next())%len(names)] }
	uid := func() types.UID { return uids[int(r.next())%len(uids)] }
	shift := func() int { return int(r.next()) }
	// Pods have been Ready for up to 256 s.
	view := View{Now: time.Unix(256, 0)}
	is := r.bits()
	if is(0) {
		view.Lease = Lease{Exists: true, Foreign: is(1) && is(4), Holder: name(), HolderUID: uid(), Epoch: int32(r.next())}
		if is(2) {
			view.Lease.Next = name()
		}
	}
	view.Trace = Trace{Stamped: true, Epoch: int32(r.next()), HolderUID: uid()}
	if view.Trace.HolderUID != "" {
		view.Trace.HolderEpoch = max(0, view.Trace.Epoch-int32(r.next()&1))
	}
	if is(3) {
		// The controller has left everything like this, and a user may have edited it.
		holder := 1 + int(r.next())%4
		view.Lease.Holder, view.Lease.HolderUID = names[holder], uids[holder]
		view.Trace = Trace{Stamped: true, Epoch: view.Lease.Epoch, HolderUID: uids[holder], HolderEpoch: view.Lease.Epoch}
		shift = func() int { return 0 }
		if edit := name(); is(5) {
			view.Lease.Holder = edit
		}
	}
	is = r.bits()
	view.Settings.Paused, view.Settings.AfterTermination, view.Settings.DeleteDemoted, view.MovesLose = is(0) && is(7), is(1), is(2), is(6)
	// Package api allows no failback where the master must stop and may not be deleted.
	if failback := r.seconds(); is(3) && (!is(1) || is(2)) {
		view.Settings.Failback = &failback
	}
	if delay := r.seconds(); is(4) {
		view.Settings.FailoverDelay = delay
	}
	if duration := r.seconds(); is(5) && view.Lease.Exists {
		view.Lease.Duration = duration
	}
	if down := r.seconds(); down > 0 {
		view.DownSince = view.Now.Add(time.Second - down)
	}
	view.Lease.Acquired = view.Now.Add(-r.seconds())
	// No two pods share a name or a UID.
	for i := range min(int(r.next()), 4) {
		is := r.bits()
		view.Candidates = append(view.Candidates, Candidate{
			Name: names[1+i], UID: uids[1+(i+shift())%4],
			Ready: !is(0), Terminating: is(1), Finished: is(2), Unselected: is(3),
			Draining: is(4), Preferred: is(5), Identified: is(6), Designated: is(7),
			ReadySince: view.Now.Add(-r.seconds()), SeenReady: view.Now.Add(-r.seconds()), NodeSilent: r.next()&3 == 3,
		})
		c := &view.Candidates[i]
		switch r.next() & 3 {
		case 1:
			c.Answers = true
		case 2:
			c.Unresponsive = true
		}
		c.Excluded, c.NodeGone = r.next()&7 == 7, r.next()&7 == 7
		c.Index, c.Revision, c.Workload = int(r.next()&3), []string{"old", "new"}[r.next()&1], []string{"slow", "fast", "", "slow"}[r.next()&3]
		c.Created = time.Unix(int64(r.next()), 0)
	}
	is = r.bits()
	view.Settings.StayOnCordon = is(4)
	if len(view.Candidates) > 0 {
		view.Candidates[0].Portless = is(5)
	}
	view.Lease.Outdated, view.Migrating = is(0) && is(1) && view.Lease.Exists, is(2) && is(3)
	for i := range view.Candidates {
		view.Candidates[i].Priority, view.Candidates[i].HigherSince = int64(r.next()&3)-1, view.Now.Add(-r.seconds())
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
