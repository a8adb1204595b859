package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/cluster/kind"
	"qoqo.dev/active-standby-controller/e2e/traffic"
	"qoqo.dev/active-standby-controller/e2e/traffic/record"
	"qoqo.dev/active-standby-controller/pkg/api"
)

//go:embed packets.yaml
var packets string

// Images are those of the controller and of the program that asks and answers.
type Images struct {
	Controller, Target string
	Node               string // of the nodes; kind's own if it is empty
}

const (
	every    = 15 * time.Millisecond  // between two requests
	deadline = 500 * time.Millisecond // after which a request is lost
	// late is how long after a second all that was sent in it has been recorded.
	late = deadline + 300*time.Millisecond
	// calm is how many seconds in a row one pod must have answered everything before
	// the next scene.
	calm = 3
)

// RunOnKind plays the demo on a new cluster of kind, in which packets flow: a client
// asks the Service 66 times a second while its masters fail, and a line for each second
// says which pods answered. With keep, everything stays up at the end until ctx is done.
func RunOnKind(ctx context.Context, images Images, keep bool) (err error) {
	title("A cluster of kind on this machine")
	cluster, err := kind.Start(ctx, kind.Options{Name: "active-standby-demo", Image: images.Node, Progress: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Delete(context.WithoutCancel(ctx))) }()
	if err := cluster.Load(ctx, images.Controller, images.Target); err != nil {
		return err
	}
	if err := cluster.Install(ctx, images.Controller); err != nil {
		return err
	}
	title("Three pods, and a Service with two annotations")
	p := &packetDemo{cluster: cluster, pods: []string{"web-0", "web-1", "web-2"}}
	if err := p.apply(ctx, images.Target); err != nil {
		return err
	}
	if err := p.scenes(ctx); err != nil {
		return err
	}
	say("\nWhere it took more than a second, most of it was kube-proxy's: docs/routing.md says how to spare it.")
	if !keep {
		say("The cluster is deleted now. To look around, run DEMO_KEEP=1 make demo-kind, which keeps it up.")
		return nil
	}
	title("Everything stays up until Ctrl-C")
	say("In another terminal:\n\n  export KUBECONFIG=%s\n  kubectl get lease,pods -L qoqo.dev/pod-designation", cluster.Kubeconfig)
	<-ctx.Done()
	return nil
}

type packetDemo struct {
	cluster *kind.Cluster
	pods    []string
	client  *traffic.Pod
}

func (p *packetDemo) apply(ctx context.Context, image string) error {
	var manifest bytes.Buffer
	if err := template.Must(template.New("").Parse(packets)).Execute(&manifest, map[string]string{"Image": image}); err != nil {
		return err
	}
	say("%s", strings.TrimSpace(packets[strings.LastIndex(packets, "---\n")+len("---\n"):]))
	if _, err := p.cluster.Kubectl(ctx, manifest.String(), "apply", "-f", "-"); err != nil {
		return err
	}
	if err := p.cluster.AwaitRollout(ctx, namespace, "statefulset/web"); err != nil {
		return err
	}
	found, err := p.cluster.Client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// By address, because a name is asked for by DNS, whose pods would take part in the failures.
	ask := []string{"request", "-url", "http://" + found.Spec.ClusterIP, "-every", every.String(), "-timeout", deadline.String()}
	p.client, err = traffic.Start(ctx, p.cluster.Client, namespace, p.cluster.ControlPlane, image, map[string][]string{client: ask})
	return err
}

// client is the container of the client's pod.
const client = "client"

func (p *packetDemo) scenes(ctx context.Context) error {
	title("A client on another node asks 66 times a second")
	say("Each line is a second: how many requests each pod answered, and how many were lost.\n\n%s", header(p.pods))
	master, err := p.watch(ctx, time.Time{})
	if err != nil {
		return err
	}
	for _, scene := range []struct {
		what       string
		fail, undo func(ctx context.Context, master string) error
	}{
		{"The process of %s is killed", p.signal("SIGKILL"), nil},
		{"The process of %s hangs", p.signal("SIGSTOP"), p.signal("SIGCONT")},
		{"%s is deleted", p.deletePod, nil},
		{"A switchover by hand: %s shall be master no longer", p.switchOver, nil},
		{"The node of %s loses power", p.onNode("kill"), p.onNode("start")},
	} {
		if err := p.recover(ctx); err != nil {
			return err
		}
		title(fmt.Sprintf(scene.what, master))
		cause := time.Now()
		if err := scene.fail(ctx, master); err != nil {
			return err
		}
		say("%s", header(p.pods))
		now, err := p.watch(ctx, cause)
		if err != nil {
			return err
		}
		if scene.undo != nil {
			if err := scene.undo(ctx, master); err != nil {
				return err
			}
		}
		master = now
	}
	return nil
}

// watch prints a line for each second, from a second before the cause, until the Lease's
// holder has answered everything for some seconds. It returns the holder, and says what
// was lost.
func (p *packetDemo) watch(ctx context.Context, cause time.Time) (master string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	shown, quiet := cause.Add(-2*time.Second), 0
	for last := error(nil); ; {
		requests, err := p.client.Read(ctx, client, 0)
		if err != nil {
			last = err
		}
		for _, s := range count(requests) {
			if !s.start.After(shown) || s.start.Add(time.Second+late).After(time.Now()) {
				continue
			}
			shown = s.start
			say("%s", s.row(p.pods))
			if pod := s.only(); pod == "" || pod != master || s.start.Before(cause) {
				master, quiet = pod, 0
			}
			quiet++
		}
		if quiet >= calm {
			l, err := p.cluster.Client.CoordinationV1().Leases(namespace).Get(ctx, service, metav1.GetOptions{})
			if err == nil && ptr.Deref(l.Spec.HolderIdentity, "") == master {
				conclude(requests, cause, l)
				return master, nil
			}
			last = err
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(errors.New("no pod is master and answers everything"), context.Cause(ctx), last)
		case <-time.After(time.Second / 2):
		}
	}
}

// conclude says what was lost since the cause, if there was one.
func conclude(requests []record.Request, cause time.Time, l *coordinationv1.Lease) {
	if cause.IsZero() {
		return
	}
	longest, lost := silence(slices.DeleteFunc(requests, func(r record.Request) bool { return r.Done.Before(cause.Add(-time.Second)) }))
	say("\nNo answer for %s, %d requests lost. The Lease says: the master is %s, in epoch %d, because of %s.", milliseconds(longest), lost,
		ptr.Deref(l.Spec.HolderIdentity, ""), ptr.Deref(l.Spec.LeaseTransitions, 0), l.Annotations[api.AnnotationReason])
}

// recover waits until all pods are Ready again.
func (p *packetDemo) recover(ctx context.Context) error {
	_, err := p.cluster.Kubectl(ctx, "", "wait", "pods", "-l", "app="+service, "--for=condition=Ready", "--timeout=2m")
	return err
}

func (p *packetDemo) signal(name string) func(context.Context, string) error {
	return func(ctx context.Context, pod string) error { return p.cluster.Signal(ctx, namespace, pod, name) }
}

func (p *packetDemo) deletePod(ctx context.Context, pod string) error {
	return p.kubectl(ctx, "delete", "pod", pod, "--wait=false")
}

func (p *packetDemo) switchOver(ctx context.Context, master string) error {
	to := p.pods[(slices.Index(p.pods, master)+1)%len(p.pods)]
	return p.kubectl(ctx, "patch", "lease", service, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"holderIdentity":%q}}`, to))
}

// onNode runs a docker command, such as kill, on the node of a pod.
func (p *packetDemo) onNode(command string) func(context.Context, string) error {
	return func(ctx context.Context, name string) error {
		pod, err := p.cluster.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return p.cluster.Docker(ctx, pod.Spec.NodeName, command)
	}
}

// kubectl shows the command, and runs it.
func (p *packetDemo) kubectl(ctx context.Context, args ...string) error {
	say("%s\n", terminal(args))
	_, err := p.cluster.Kubectl(ctx, "", args...)
	return err
}
