package chaos

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

func (m moment) String() string {
	return fmt.Sprintf("%s %-16s %s", m.at.Format("15:04:05.000"), cmp.Or(m.election, "-"), m.text)
}

func (v violation) String() string {
	text := &strings.Builder{}
	fmt.Fprintf(text, "VIOLATION at %s: %s\n", v.at.Format("15:04:05.000"), v.text)
	for _, m := range v.history {
		fmt.Fprintf(text, "    %s\n", m)
	}
	return text.String()
}

// because names what was wrong while a Service had no endpoint.
func (g gap) because() []string {
	if len(g.causes) == 0 {
		return []string{nothing}
	}
	return sets.List(g.causes)
}

// report prints what happened.
func (c *chaos) report(out io.Writer) {
	c.lock.Lock()
	defer c.lock.Unlock()
	j := c.judge
	fmt.Fprintf(out, "\nSeed %d, %s, %d replicas, %d Services, %d pods, %d nodes; %d events, %d of them out of order\n\nActions:\n",
		c.Seed, c.Time, replicas, len(manifests), len(apps)*podsOfEach, nodes, j.events, c.sequence.late)
	for _, a := range actors {
		left := ""
		if slices.Contains(c.Without, a.name) {
			left = " (left out)"
		}
		fmt.Fprintf(out, "  %-26s %d%s\n", a.name, c.counts[a.name], left)
	}
	j.reportElections(out)
	j.reportGaps(out)
	took := slices.Sorted(slices.Values(c.converged))
	if n := len(took); n > 0 {
		fmt.Fprintf(out, "\nConverged %d times, within %s, at most %s\n", n, took[n/2].Round(100*time.Millisecond), took[n-1].Round(100*time.Millisecond))
	}
	fmt.Fprintf(out, "\n%d violations\n", len(j.violations))
	for _, v := range j.violations {
		fmt.Fprintf(out, "  %s %s\n", v.at.Format("15:04:05.000"), v.text)
	}
}

// reportElections prints the moves of each election.
func (j *judge) reportElections(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nElection\tmoves\tepoch\tholders\topen because of a user\n")
	for _, name := range elections() {
		of := j.totals[name]
		if of == nil {
			of = &total{}
		}
		var open time.Duration
		for service, lasted := range j.excused {
			if j.electionOf(service) == name {
				open += lasted
			}
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\n", name, of.moves, of.epoch, strings.Join(sets.List(of.holders), " "), open.Round(time.Millisecond))
	}
	_ = table.Flush()
}

// nothing is the cause of a time without an endpoint in which nothing was wrong.
const nothing = "none of these"

// reportGaps prints the times without an endpoint, by what was wrong meanwhile. A time counts
// for each of several faults.
func (j *judge) reportGaps(out io.Writer) {
	type sum struct {
		times   int
		all     time.Duration
		longest gap
	}
	causes := map[string]*sum{}
	for _, g := range j.interrupted {
		for _, cause := range g.because() {
			s := causes[cause]
			if s == nil {
				s = &sum{}
				causes[cause] = s
			}
			s.times++
			if s.all += g.lasted; g.lasted > s.longest.lasted {
				s.longest = g
			}
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nWithout an endpoint, although a pod was eligible, during\tlongest\ttimes\tin all\n")
	for _, cause := range slices.SortedFunc(maps.Keys(causes), func(a, b string) int {
		return cmp.Or(-cmp.Compare(causes[a].longest.lasted, causes[b].longest.lasted), cmp.Compare(a, b))
	}) {
		s := causes[cause]
		fmt.Fprintf(table, "%s\t%s, %s at %s\t%d\t%s\n", cause, s.longest.lasted.Round(time.Millisecond), s.longest.service, s.longest.since.Format(time.TimeOnly), s.times, s.all.Round(time.Millisecond))
	}
	_ = table.Flush()
}

// save writes the whole history and the logs to the directory of artifacts.
func (c *chaos) save() error {
	if err := os.MkdirAll(c.Artifacts, 0o755); err != nil {
		return err
	}
	history := &strings.Builder{}
	for _, m := range c.judge.history {
		fmt.Fprintln(history, m)
	}
	if err := os.WriteFile(filepath.Join(c.Artifacts, "history.txt"), []byte(history.String()), 0o644); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(c.plane.Dir, "*.log"))
	if err != nil {
		return err
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.Artifacts, filepath.Base(log)), text, 0o644); err != nil {
			return err
		}
	}
	c.say("The history and the logs are in %s", c.Artifacts)
	return nil
}
