package lease

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// switched is a decision for web-0 or web-1, in turns.
func switched(epoch int32) election.Decision {
	pods := []string{"web-0", "web-1"}
	return to(election.Switchover, election.HolderEdited, pods[epoch%2], epoch, from(pods[(epoch+1)%2]))
}

// moved is what the Lease records of switched. Each epoch begins a minute after the last.
func moved(epoch int32) Move {
	d := switched(epoch)
	return Move{Epoch: epoch, Time: metav1.NewMicroTime(minute(epoch)), From: d.Previous, To: d.Holder, Action: d.Action, Reason: d.Reason}
}

func minute(epoch int32) time.Time { return start.Add(time.Duration(epoch) * time.Minute) }

func moves(first, last int32) (all []Move) {
	for epoch := first; epoch <= last; epoch++ {
		all = append(all, moved(epoch))
	}
	return all
}

func TestHistoryKeepsTheLastTenMoves(t *testing.T) {
	var l *coordinationv1.Lease
	for epoch := int32(1); epoch <= 12; epoch++ {
		l, _ = Next(l, terms(), switched(epoch), false, minute(epoch))
		if diff := cmp.Diff(moves(max(1, epoch-9), epoch), History(l)); diff != "" {
			t.Fatalf("history in epoch %d (-want +got):\n%s", epoch, diff)
		}
	}
}

func TestHistoryTellsOfMovesAlone(t *testing.T) {
	told := func(all []Move) string {
		encoded, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	tests := map[string]struct {
		before   string
		decision election.Decision
		want     []Move
	}{
		"a move comes last":                              {told(moves(3, 4)), switched(5), moves(3, 5)},
		"a history that cannot be read begins anew":      {`[{"epoch":`, switched(5), moves(5, 5)},
		"a history of something else begins anew":        {`{"epoch": 4}`, switched(5), moves(5, 5)},
		"a refused edit is no move":                      {told(moves(3, 4)), to(election.Restore, election.EditRefused, "web-0", 4), moves(3, 4)},
		"a holder that is asked to stop is still master": {told(moves(3, 4)), to(election.Stop, election.HolderEdited, "web-0", 4, promising("web-1")), moves(3, 4)},
		"a Lease that was restored has moved nothing":    {told(moves(3, 4)), to(election.Restore, election.LeaseLost, "web-0", 4), moves(3, 4)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, need := Next(written(annotated(api.AnnotationHistory, test.before)), terms(), test.decision, false, minute(5))
			if need != NeedDecision {
				t.Fatalf("need %d", need)
			}
			if diff := cmp.Diff(test.want, History(l)); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHistoryOfNothing(t *testing.T) {
	for name, l := range map[string]*coordinationv1.Lease{
		"there is no Lease":      nil,
		"the Lease says nothing": written(),
		"it cannot be read":      written(annotated(api.AnnotationHistory, "web-0, then web-1")),
	} {
		t.Run(name, func(t *testing.T) {
			if got := History(l); got != nil {
				t.Errorf("history %v, want none", got)
			}
		})
	}
}

func TestMoveDecision(t *testing.T) {
	for _, d := range []election.Decision{
		to(election.Failover, election.HolderNotReady, "web-1", 5, from("web-0")),
		to(election.Failover, election.HolderGone, "web-1", 5),
		to(election.Elect, election.FirstEligible, "web-1", 1),
		to(election.Adopt, election.AlreadyDesignated, "web-1", 1),
		to(election.Switchover, election.PreferredEligible, "web-1", 5, from("web-0")),
	} {
		l, _ := Next(written(), terms(), d, false, now)
		all := History(l)
		if len(all) != 1 || all[0].Decision().Message() != d.Message() {
			t.Errorf("the Lease tells %v, want the move in which %s", all, d.Message())
		}
	}
}

// A user's text, by way of the holder, must not make the Lease too large to be written.
func TestHistoryThatIsTooLargeIsDropped(t *testing.T) {
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
	addMove(l, election.Decision{Action: election.Failover, Previous: strings.Repeat("<", historyMax/4), Holder: "web-1"}, metav1.MicroTime{})
	if size := len(l.Annotations[api.AnnotationHistory]); size > 0 {
		t.Errorf("the history takes %d bytes", size)
	}
	addMove(l, election.Decision{Action: election.Failover, Previous: "web-1", Holder: "web-2"}, metav1.MicroTime{})
	if moves := History(l); len(moves) != 1 || moves[0].To != "web-2" {
		t.Errorf("the history is %v, want the next move alone", moves)
	}
}

func TestDeletionPause(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	moved := func(ago ...time.Duration) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
		for _, d := range ago {
			addMove(l, election.Decision{Action: election.Failover}, metav1.NewMicroTime(now.Add(-d)))
		}
		return l
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  time.Duration
	}{
		"the master has never moved":                     {moved(), 0},
		"the master has moved five times":                {moved(5*time.Second, 4*time.Second, 3*time.Second, 2*time.Second, time.Second), 0},
		"the master has moved six times within a minute": {moved(50*time.Second, 4*time.Second, 3*time.Second, 2*time.Second, time.Second, 0), 10 * time.Second},
		"the master has moved six times in a minute":     {moved(time.Minute, 4*time.Second, 3*time.Second, 2*time.Second, time.Second, 0), 0},
		"only the last six moves count":                  {moved(59*time.Second, 50*time.Second, 4*time.Second, 3*time.Second, 2*time.Second, time.Second, 0), 10 * time.Second},
		"a clock is ahead":                               {moved(-time.Hour, -time.Hour, -time.Hour, -time.Hour, -time.Hour, -time.Hour), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := DeletionPause(test.lease, now); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestMovePause(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	// moved returns a Lease whose master has moved so many times, the last time so long ago.
	moved := func(times int, apart, ago time.Duration) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
		for i := range times {
			addMove(l, election.Decision{Action: election.Failover}, metav1.NewMicroTime(now.Add(-ago-time.Duration(times-1-i)*apart)))
		}
		return l
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  time.Duration
	}{
		"the master has never moved":                          {moved(0, 0, 0), 0},
		"the master has moved nine times at once":             {moved(9, time.Second, 0), 0},
		"the master has moved ten times at once":              {moved(10, time.Second, 0), 6 * time.Second},
		"the pause counts from the last move":                 {moved(10, time.Second, 2*time.Second), 4 * time.Second},
		"the pause has passed":                                {moved(10, time.Second, 6*time.Second), 0},
		"a master that moves every six seconds is not paused": {moved(20, 6*time.Second, 6*time.Second), 0},
		"a master that moves every five seconds is paused":    {moved(20, 5*time.Second, 5*time.Second), time.Second},
		"a clock is ahead":                                    {moved(10, time.Second, -time.Hour), 0},
		"the clock of the last move is ahead":                 {moved(10, time.Second, -5*time.Second), 6 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := MovePause(test.lease, now); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
