// Package demo shows the controller at work on a local control plane: it
// installs manifests/, starts two replicas, applies the examples, and then makes
// the master fail in several ways.
package demo

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

// Run plays the demo and prints it to standard output. With keep, everything stays
// up at the end until ctx is done. It must run inside the e2e module.
func Run(ctx context.Context, keep bool) (err error) {
	title("A control plane on this machine")
	say("etcd, the API server, the controllers and the scheduler are real. kwok plays the nodes, so no packet flows.")
	plane, err := local.Start(ctx, local.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	d := &demo{plane: plane}
	if d.client, err = kubernetes.NewForConfig(plane.Admin.Config); err != nil {
		return err
	}

	title("Two replicas of the controller, as manifests/ installs it")
	if d.installation, err = install.On(ctx, plane); err != nil {
		return err
	}
	for _, name := range []string{"replica-1", "replica-2"} {
		replica, err := d.installation.Start(ctx, name, "")
		if err != nil {
			return err
		}
		defer replica.Stop()
		say("%s runs as a process, with the ServiceAccount and the RBAC rules of manifests/.", name)
	}

	if err := d.scenes(ctx); err != nil {
		return err
	}
	if !keep {
		say("\nEverything is taken down now. To look around, run DEMO_KEEP=1 make demo, which keeps it up.")
		return nil
	}
	title("Everything stays up until Ctrl-C")
	say("In another terminal:\n\n  export KUBECONFIG=%s\n  alias kubectl=%s\n  kubectl get lease,endpointslices,pods --show-labels", plane.Admin.Kubeconfig, plane.Kubectl)
	say("  kubectl patch lease web --type merge -p '{\"spec\":{\"holderIdentity\":\"...\"}}'\n  tail -f %s", filepath.Join(plane.Dir, "replica-1.log"))
	select {
	case <-ctx.Done():
		return nil
	case <-plane.Stopped():
		return errors.New("the control plane has ended")
	}
}

// patience is how long the demo waits for each step, which should take less than a
// second.
const patience = time.Minute
