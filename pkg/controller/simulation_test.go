package controller

import (
	"flag"
	"fmt"
	"testing"
)

// The simulation lets replicas of the controller reconcile while all else happens that
// can: caches lag, requests fail, processes die, Kubernetes is late, users and other
// tools interfere. After each step it looks for what must never be. From time to time it
// lets everything come to rest, and looks for what must be then.
//
// A failure names the seed, and tells the shortest history that it has found to lead to it.
var (
	simulatedSteps = flag.Int("steps", 20_000, "how many steps the simulation takes, over all profiles")
	simulatedSeed  = flag.Uint64("seed", 0, "the seed of the simulation's first run")
	notSpared      = flag.String("not-spared", "", "the name of a known fault, or all, that the simulation may run into")
)

// stepsOfARun is how many steps a run takes that fails nowhere.
const stepsOfARun = 400

func TestSimulation(t *testing.T) {
	m := mended{}
	for _, f := range knownFaults {
		m[f.name] = *notSpared == "all" || *notSpared == string(f.name)
	}
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			for seed := *simulatedSeed; seed < *simulatedSeed+uint64(max(1, *simulatedSteps/len(profiles)/stepsOfARun)); seed++ {
				if r := play(p, m, seed, stepsOfARun); r.failure != "" {
					steps := shrink(p, m, r.steps, r.failure)
					t.Fatal(fmt.Sprintf("seed %d: %s\n\n\t", seed, r.failure) + history(p, m, steps))
				}
			}
		})
	}
}
