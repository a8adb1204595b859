package probe

import (
	"bufio"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	starve = flag.Duration("starve", 0, "for how long TestStarved starves its pods of CPU time; 0 skips it")
	hogs   = flag.Int("hogs", 40, "how many processes TestStarved runs that use all the CPU time they get")
)

// TestStarved probes processes by HTTP while others use up the CPUs, and counts the
// masters that are moved although all are fine. It measures how long it takes to find
// masters that are stopped, before and meanwhile. Run it with nice -n 19 and -starve=1m.
func TestStarved(t *testing.T) {
	if *starve == 0 {
		t.Skip("needs -starve")
	}
	const elections, replicas = 6, 3
	c := cluster{T: t, prober: New(func(types.NamespacedName) {}), of: map[types.NamespacedName][]*process{}}
	c.prober.changed = c.look
	for e := range elections {
		key := types.NamespacedName{Namespace: "default", Name: fmt.Sprint(e)}
		for r := range replicas {
			c.of[key] = append(c.of[key], startPod(t, fmt.Sprintf("127.2.%d.%d", e, r+1)))
		}
		c.want(key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.prober.Run(ctx) })
	defer running.Wait()
	defer cancel()
	<-time.After(5 * time.Second)
	t.Logf("%d false moves before; %d masters that are stopped are found after %v", len(c.reset()), elections, c.stop())
	for range *hogs {
		hog := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = hog.Wait() }()
	}
	defer cancel()
	c.reset()
	<-time.After(*starve)
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("%d false moves of %d masters in %s, at a load of %s", len(c.reset()), elections, *starve, strings.Fields(string(load))[0])
	t.Logf("%d masters that are stopped meanwhile are found after %v", elections, c.stop())
}

// cluster is elections of processes.
type cluster struct {
	*testing.T
	prober *Prober
	lock   sync.Mutex
	// of has the pods of each election, the master first.
	of map[types.NamespacedName][]*process
	// moves is when a master was moved.
	moves []time.Time
}

// process is a pod.
type process struct {
	*os.Process
	target Target
}

// want has the pods of an election asked.
func (c *cluster) want(key types.NamespacedName) {
	var targets []Target
	for i, p := range c.of[key] {
		p.target.Master = i == 0
		targets = append(targets, p.target)
	}
	c.prober.Want(key, targets)
}

// look moves the master if the controller would.
func (c *cluster) look(key types.NamespacedName) {
	go func() {
		c.lock.Lock()
		defer c.lock.Unlock()
		pods := c.of[key]
		if c.prober.State(key, pods[0].target.Pod) != Suspected {
			return
		}
		for i, p := range pods {
			if c.prober.State(key, p.target.Pod) == Answering {
				c.moves = append(c.moves, time.Now())
				pods[0], pods[i] = pods[i], pods[0]
				c.want(key)
				return
			}
		}
	}()
}

// reset returns when masters moved since the last call.
func (c *cluster) reset() (moves []time.Time) {
	c.lock.Lock()
	defer c.lock.Unlock()
	moves, c.moves = c.moves, nil
	return moves
}

// stop stops all masters for a while, and returns how long it took to move each.
func (c *cluster) stop() (found []time.Duration) {
	c.lock.Lock()
	c.moves = nil
	var masters []*process
	for _, pods := range c.of {
		masters = append(masters, pods[0])
	}
	stopped := time.Now()
	c.signal(masters, "STOP")
	c.lock.Unlock()
	<-time.After(8 * time.Second)
	c.signal(masters, "CONT")
	for _, moved := range c.reset() {
		found = append(found, moved.Sub(stopped).Round(ms))
	}
	return found
}

func (c *cluster) signal(pods []*process, name string) {
	arguments := []string{"-" + name}
	for _, p := range pods {
		arguments = append(arguments, fmt.Sprint(p.Pid))
	}
	if err := exec.CommandContext(c.Context(), "kill", arguments...).Run(); err != nil {
		c.Error(err)
	}
}

// startPod runs TestPod at an address in a process of its own.
func startPod(t *testing.T, address string) *process {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPod$")
	command.Env = append(os.Environ(), "PROBE_TEST_ADDRESS="+address)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at, err := netip.ParseAddrPort(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	probe := api.Probe{Scheme: api.ProbeHTTP, Port: at.Port(), Path: "/", Interval: 200 * ms, Timeout: 200 * ms, Failures: 2}
	return &process{command.Process, Target{Pod: types.UID(address), Address: address, Probe: probe}}
}

// TestPod is a pod. Each answer takes it some milliseconds of CPU time.
func TestPod(t *testing.T) {
	address := os.Getenv("PROBE_TEST_ADDRESS")
	if address == "" {
		t.Skip("is a process of TestStarved")
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(listener.Addr())
	work := make([]byte, 4<<20)
	t.Error(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Sum", fmt.Sprintf("%x", sha256.Sum256(work)))
	})))
}
