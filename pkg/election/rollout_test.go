package election

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// statefulSet has the pods db-0, db-1 and so on, and an election that decides on every change.
type statefulSet struct {
	testing.TB
	pods  []Candidate
	lease Lease
	now   time.Time
	// masters are the indexes of all masters so far.
	masters []int
}

func newStatefulSet(tb testing.TB, replicas, master int) *statefulSet {
	tb.Helper()
	s := &statefulSet{TB: tb, now: start, pods: make([]Candidate, replicas)}
	for i := range s.pods {
		s.create(i, "old")
	}
	s.lease = Lease{Exists: true, Holder: s.pods[master].Name, HolderUID: s.pods[master].UID, Epoch: 1}
	s.masters = []int{master}
	s.decide()
	return s
}

func (s *statefulSet) create(i int, revision string) {
	s.now = s.now.Add(10 * time.Second)
	name := "db-" + strconv.Itoa(i)
	s.pods[i] = pod(name, func(c *Candidate) {
		c.UID = types.UID(fmt.Sprintf("%s of %s", name, s.now.Sub(start)))
		c.Index, c.Revision, c.Created, c.ReadySince, c.Identified = i, revision, s.now, s.now.Add(5*time.Second), true
	})
}

func (s *statefulSet) decide() {
	s.Helper()
	d := Decide(View{Lease: s.lease, Candidates: s.pods, Now: s.now})
	if !d.Served() {
		s.Fatalf("there is no master while others could be: %s", d.Message())
	}
	if d.Transition() {
		index, _ := strconv.Atoi(d.Holder[len("db-"):])
		s.masters = append(s.masters, index)
	}
	s.lease = d.written(s.lease, s.now)
}

// remove takes the pod away as its controller does, and leaves its place empty.
func (s *statefulSet) remove(i int) {
	s.Helper()
	s.pods[i].Terminating = true
	s.decide()
	s.pods[i] = pod(s.pods[i].Name, notReady, func(c *Candidate) { c.UID, c.Index, c.Finished = "none", i, true })
	s.decide()
}

// A StatefulSet is rolled from its highest index on. A master with the highest index must move
// while all other pods are of the old revision, and so moves twice.
func TestRolloutOfAStatefulSetMovesTheMasterOnce(t *testing.T) {
	for replicas := 2; replicas <= 5; replicas++ {
		for master := range replicas {
			t.Run(fmt.Sprintf("%d of %d", master, replicas), func(t *testing.T) {
				s := newStatefulSet(t, replicas, master)
				for i := replicas - 1; i >= 0; i-- {
					s.remove(i)
					s.create(i, "new")
					s.pods[i].Ready = false
					s.decide()
					s.pods[i].Ready = true
					s.decide()
				}
				moves, want := len(s.masters)-1, 1
				if master == replicas-1 {
					want = 2
				}
				if moves != want {
					t.Errorf("the master moved %d times, want %d: %v", moves, want, s.masters)
				}
			})
		}
	}
}

// A StatefulSet is scaled down from its highest index on too.
func TestScaleDownOfAStatefulSetMovesTheMasterOnce(t *testing.T) {
	for master := 1; master < 5; master++ {
		t.Run(fmt.Sprint(master), func(t *testing.T) {
			s := newStatefulSet(t, 5, master)
			// Readiness would say otherwise.
			for i := range s.pods {
				s.pods[i].SeenReady = start.Add(-time.Duration(i) * time.Minute)
				s.pods[i].ReadySince = start.Add(-time.Duration(i) * time.Minute)
			}
			for i := 4; i > 0; i-- {
				s.remove(i)
			}
			if len(s.masters) != 2 || s.masters[1] != 0 {
				t.Errorf("the masters were %v, want a move to 0", s.masters)
			}
		})
	}
}
