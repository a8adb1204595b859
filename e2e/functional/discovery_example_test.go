//go:build e2e

package functional

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each step of examples/master-discovery/README.md does what the page says, in its order.
func TestMasterDiscoveryExample(t *testing.T) {
	s := newScene(t)
	s.guard.Opened("db-nodes")
	s.example("master-discovery")
	s.awaitRollout("statefulset/db")
	epoch := int32(0)
	// moved waits for the next master.
	moved := func(to string) string {
		t.Helper()
		epoch++
		return *s.awaitMaster("db", epoch, to).Spec.HolderIdentity
	}
	// recovered waits until a pod, or its next incarnation, is Ready, and the master is
	// still the same.
	recovered := func(name string) {
		t.Helper()
		s.eventually(name+" is back as a standby", func() error {
			pod, found := s.pods("db")[name]
			if !found {
				return fmt.Errorf("there is no such pod")
			}
			return readiness(pod)
		})
		s.awaitMaster("db", epoch, anyPod)
	}
	master := moved(anyPod)
	if got := s.designated("db"); got != master {
		t.Errorf("pod %q is labelled active, want %q", got, master)
	}
	s.awaitNames("db", master)
	s.awaitNames("db-nodes", "db-0", "db-1", "db-2")
	s.awaitLog(master)
	s.eventually("the pod's files say that it is the master", func() error {
		if info := s.kubectl("exec", master, "--", "sh", "-c", "head /etc/podinfo/*"); !strings.Contains(info, "active") || !strings.Contains(info, "1") {
			return fmt.Errorf("they say %q", info)
		}
		return nil
	})

	s.kubectl("exec", master, "--", "rm", "/www/healthy")
	old, master := master, moved(anyPod)
	s.awaitNames("db", master)
	s.awaitLog(master)
	s.kubectl("exec", old, "--", "touch", "/www/healthy")
	recovered(old)

	s.kubectl("exec", master, "--", "killall", "httpd")
	old, master = master, moved(anyPod)
	s.awaitNames("db", master)
	recovered(old)

	s.kubectl("delete", "pod", master)
	old, master = master, moved(anyPod)
	recovered(old)

	next := s.standby("db")
	s.kubectl("patch", "lease", "db", "--type", "merge", "-p", `{"spec":{"holderIdentity":"`+next+`"}}`)
	master = moved(next)
	s.awaitNames("db", master)

	node := s.pod(master).Spec.NodeName
	s.drain(node, "--ignore-daemonsets", "--delete-emptydir-data")
	old, master = master, moved(anyPod)
	if now := s.pod(master).Spec.NodeName; now == node {
		t.Errorf("the master is still on %s", node)
	}
	s.kubectl("uncordon", node)
	recovered(old)

	s.kubectl("annotate", "service", "db", "qoqo.dev/prefer=apps.kubernetes.io/pod-index=0")
	if master == "db-0" {
		s.editHolder("db", "db-1")
		master = moved("db-1")
	}
	s.kubectl("delete", "pod", master)
	moved("db-0")

	s.guard.MayGo("db")
	s.kubectl("delete", "-f", cluster.Path("examples", "master-discovery"))
	s.awaitNothingLeft()
}

// awaitNames waits until a name resolves to the addresses of these pods, inside a pod of
// the example.
func (s *scene) awaitNames(name string, pods ...string) {
	s.Helper()
	var want []string
	for _, pod := range pods {
		want = append(want, s.pod(pod).Status.PodIP)
	}
	slices.Sort(want)
	s.eventually(fmt.Sprintf("%s resolves to %v", name, pods), func() error {
		out, err := cluster.Kubectl(s.Context(), "", "-n", s.namespace, "exec", "db-1", "--", "nslookup", name+"."+s.namespace+".svc.cluster.local")
		if err != nil {
			return err // the name may not exist yet, or the pod is not back
		}
		_, answer, _ := strings.Cut(out, "Name:")
		var got []string
		for line := range strings.Lines(answer) {
			if _, address, found := strings.Cut(line, "Address: "); found {
				got = append(got, strings.TrimSpace(address))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("it resolves to %v, want %v: %q", got, want, out)
		}
		return nil
	})
}

// awaitLog waits until the latest line of every pod's log names the master.
func (s *scene) awaitLog(master string) {
	s.Helper()
	for _, pod := range []string{"db-0", "db-1", "db-2"} {
		s.eventually(pod+" finds "+master, func() error {
			if log := s.kubectl("logs", pod, "--tail=1"); !strings.Contains(log, "the master is "+master) {
				return fmt.Errorf("it says %q", log)
			}
			return nil
		})
	}
}
