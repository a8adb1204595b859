//go:build e2e

package functional

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// examples/postgresql/README.md promises that every acknowledged write is there once,
// whatever happens to the primary.
func TestPostgreSQLExample(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.guard.Opened("postgresql-nodes")
	s.guard.Opened("postgresql-read")
	s.databaseVolumes(2)
	s.kubectl("create", "secret", "generic", "postgresql", "--from-literal=password=p", "--from-literal=replication-password=r")
	s.example("postgresql")
	s.awaitRollout("statefulset/postgresql")
	// The example lets only postgresql-0 be elected without data.
	master, standby := "postgresql-0", "postgresql-1"
	s.awaitMaster("postgresql", 1, master)
	s.awaitReplication(master, standby)
	s.apply("postgresql-writer.yaml")
	s.awaitAcknowledged(20)

	epoch := int32(1)
	for _, disturbance := range []struct {
		name string
		do   func()
	}{
		{"the primary's container is killed", func() {
			if err := cluster.Signal(t.Context(), s.namespace, master, "SIGKILL"); err != nil {
				t.Fatal(err)
			}
		}},
		{"the master's pod is deleted", func() { s.kubectl("delete", "pod", master, "--wait=false") }},
		{"the Lease is edited", func() { s.editHolder("postgresql", standby) }},
	} {
		before := s.acknowledged()
		disturbance.do()
		epoch++
		master, standby = standby, master
		s.awaitMaster("postgresql", epoch, master)
		s.eventually(master+" is a primary", func() error { return s.recovering(master, "f") })
		s.awaitAcknowledged(20)
		s.awaitReplication(master, standby)
		t.Logf("%s: the longest pause between two acknowledged writes is %s", disturbance.name, longestPause(s.acknowledged()[len(before)-1:]))
	}

	s.kubectl("exec", "writer", "--", "touch", "/tmp/stop")
	s.kubectl("wait", "pod/writer", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=1m")
	s.checkWritten(master, standby)
	s.awaitMaster("postgresql", epoch, master)
	for pod, want := range map[string]string{master: "f", standby: "t"} {
		if err := s.recovering(pod, want); err != nil {
			t.Error(err)
		}
	}

	s.guard.MayGo("postgresql")
	s.kubectl("delete", "-f", cluster.Path("examples", "postgresql"))
	s.awaitNothingLeft()
	s.eventually("the pods are gone, so that their volumes can be removed", func() error {
		if n := len(s.pods("postgresql")); n > 0 {
			return fmt.Errorf("%d pods are there", n)
		}
		return nil
	})
}

// databaseVolumes makes the volumes that the example's pods claim, because a kind cluster
// may not make any itself. Each is a directory on a worker of its own.
func (s *scene) databaseVolumes(replicas int) {
	s.Helper()
	if len(cluster.Workers) < replicas {
		s.Fatalf("there are %d workers for %d replicas", len(cluster.Workers), replicas)
	}
	for i := range replicas {
		node, name, dir := cluster.Workers[i], fmt.Sprintf("%s-%d", s.namespace, i), "/var/local/"+s.namespace
		assert.Must(cluster.Exec(s.Context(), node, "mkdir", "-p", dir))(s)
		s.Cleanup(func() {
			ctx := context.Background()
			if s.Failed() {
				s.saveDatabaseLog(ctx, fmt.Sprintf("postgresql-%d", i))
			}
			if err := cluster.Client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				s.Error(err)
			}
			if _, err := cluster.Exec(ctx, node, "rm", "-rf", dir); err != nil && !s.Failed() {
				s.Error(err)
			}
		})
		s.applyText(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata:
  name: %s
spec:
  storageClassName: standard # the default of kind
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  claimRef: {namespace: %s, name: data-postgresql-%d}
  local: {path: %s}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - {key: kubernetes.io/hostname, operator: In, values: [%s]}
`, name, s.namespace, i, dir, node))
	}
}

// saveDatabaseLog saves a pod's log, which explains a failure and is lost with the pod.
func (s *scene) saveDatabaseLog(ctx context.Context, pod string) {
	s.Helper()
	dir := filepath.Join(artifacts, s.Name())
	log, err := cluster.Kubectl(ctx, "", "-n", s.namespace, "logs", pod, "--timestamps")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, pod+".log"), []byte(log), 0o600)
	}
	if err != nil {
		s.Error(err)
	}
}

// psql runs a statement on a pod's server, and returns what it printed.
func (s *scene) psql(pod, database, statement string) (string, error) {
	return cluster.Kubectl(s.Context(), "", "-n", s.namespace, "exec", pod, "--", "psql", "-XAtd", database, "-c", statement)
}

// recovering returns an error unless the pod's server answers want: "f" as a primary,
// or "t" as a standby.
func (s *scene) recovering(pod, want string) error {
	got, err := s.psql(pod, "postgres", "SELECT pg_is_in_recovery()")
	if err == nil && got != want {
		err = fmt.Errorf("%s is in recovery: %s, want %s", pod, got, want)
	}
	return err
}

// awaitReplication waits until the standby is Ready, and the master's commits wait for it
// alone.
func (s *scene) awaitReplication(master, standby string) {
	s.Helper()
	s.eventually(standby+" follows "+master, func() error {
		got, err := s.psql(master, "postgres", "SELECT application_name, state, sync_state FROM pg_stat_replication")
		if want := standby + "|streaming|quorum"; err == nil && got != want {
			err = fmt.Errorf("pg_stat_replication has %q, want %q", got, want)
		}
		if err != nil {
			return err
		}
		return readiness(*s.pod(standby))
	})
}

// write is an acknowledged write, with the time of the acknowledgement.
type write struct {
	number int
	at     time.Time
}

// acknowledged returns the writer's acknowledged writes, in their order.
func (s *scene) acknowledged() (writes []write) {
	s.Helper()
	for line := range strings.Lines(s.kubectl("logs", "writer")) {
		var w write
		var ms int64
		if _, err := fmt.Sscanf(line, "acknowledged %d %d", &w.number, &ms); err == nil {
			w.at = time.UnixMilli(ms)
			writes = append(writes, w)
		}
	}
	return writes
}

// awaitAcknowledged waits until that many more writes are acknowledged.
func (s *scene) awaitAcknowledged(more int) {
	s.Helper()
	s.eventually("the writer is Ready", func() error { return readiness(*s.pod("writer")) })
	before := len(s.acknowledged())
	s.eventually("writes are acknowledged", func() error {
		if now := len(s.acknowledged()); now < before+more {
			return fmt.Errorf("%d of %d more are", now-before, more)
		}
		return nil
	})
}

func longestPause(writes []write) (longest time.Duration) {
	for i := range writes[1:] {
		longest = max(longest, writes[i+1].at.Sub(writes[i].at))
	}
	return longest
}

// checkWritten fails the test unless each server has every acknowledged write exactly
// once. A server may have more writes, whose acknowledgement was lost.
func (s *scene) checkWritten(master, standby string) {
	s.Helper()
	told := s.acknowledged()
	for _, pod := range []string{master, standby} {
		times := map[int]int{}
		s.eventually(pod+" has replayed all", func() error {
			clear(times)
			out, err := s.psql(pod, "app", "SELECT number FROM written")
			if err != nil {
				return err
			}
			for line := range strings.Lines(out) {
				number, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					return err
				}
				times[number]++
			}
			if last := told[len(told)-1].number; times[last] == 0 {
				return fmt.Errorf("it lacks the last write, %d", last)
			}
			return nil
		})
		var lost []write
		for _, w := range told {
			if times[w.number] == 0 {
				lost = append(lost, w)
			}
		}
		if len(lost) > 0 {
			s.Errorf("%s has lost %d of %d writes that were acknowledged, the first is %v, the last %v", pod, len(lost), len(told), lost[0], lost[len(lost)-1])
		}
		for number, n := range times {
			if n > 1 {
				s.Errorf("%s has the write %d %d times", pod, number, n)
			}
		}
		s.Logf("%s has %d writes, of which %d were acknowledged", pod, len(times), len(told))
	}
}
