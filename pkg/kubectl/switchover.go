package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// attempts is how often the plugin reads and chooses again after a conflict on the Lease.
const attempts = 5

type switchoverCommand struct {
	*env
	connection
	service string
	to      string
	wait    bool
	timeout time.Duration
}

func (e *env) newSwitchover() *cobra.Command {
	o := &switchoverCommand{env: e}
	cmd := &cobra.Command{
		Use:   "switchover SERVICE",
		Short: "Make another pod the master of a Service",
		Long: `Make another pod the master of a Service: the one that --to names, or the best standby
in the controller's order.

It writes the pod into the Lease's spec.holderIdentity, and waits until the controller has
followed and traffic goes to that pod. If the controller would refuse, nothing is written
and the command fails.

The time that is printed begins with that write, and ends when the plugin sees the
EndpointSlices list that pod alone. Nodes follow a little later. Where EndpointSlices may
not be read, it ends with the last write of the controller.`,
		Example: `  # Make the best standby of the Service web its master
  kubectl active-standby switchover web

  # Make the pod web-1 master, and wait for it for up to five minutes
  kubectl active-standby switchover web --to web-1 --timeout=5m

  # Do not wait
  kubectl active-standby switchover web --wait=false`,
		Args:              oneService,
		ValidArgsFunction: e.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.service = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", "Name of the pod to make master; by default the best standby.")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "Wait until traffic goes to the pod.")
	cmd.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "How long to wait.")
	completeFlag(cmd, "to", e.completeStandbys)
	return cmd
}

func (o *switchoverCommand) run(ctx context.Context) (err error) {
	if o.timeout <= 0 {
		return errors.New("--timeout must be more than 0; see --wait")
	}
	if o.connection, err = o.connect(); err != nil {
		return err
	}
	w, err := read(ctx, o.live(), o.namespace)
	if err != nil {
		return err
	}
	m, err := o.choose(ctx, w)
	switch {
	case err != nil:
		return err
	case m == nil:
		return nil
	case !o.wait:
		if m, err = o.ask(ctx, m); m != nil {
			fmt.Fprintf(o.Out, "%s: requested a switchover from %s to %s\n", o.service, m.from, m.pod)
		}
		return err
	}
	// It listens before it writes, so that it does not measure its own start.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := follow(ctx, o.client, o.namespace)
	if err != nil {
		return err
	}
	refusals, err := o.refusals(ctx, m)
	if err != nil {
		return err
	}
	if m, err = o.ask(ctx, m); err != nil || m == nil {
		return err
	}
	return o.await(ctx, f, m, refusals)
}

// move is a switchover that the plugin requests.
type move struct {
	service *corev1.Service
	lease   types.NamespacedName
	// pod must become master, in the place of the pod from.
	pod, from string
	fromUID   types.UID
	// epoch is the one of from.
	epoch int32
	// version is the Lease's: as read before the request, as written after it.
	version string
	// sent is when the request was sent.
	sent time.Time
}

// ask writes the pod into the version of the Lease that it was chosen on. If the Lease has
// changed, it chooses again. It returns nil if there is nothing left to do.
func (o *switchoverCommand) ask(ctx context.Context, m *move) (*move, error) {
	for range attempts {
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": m.version},
			"spec":     map[string]any{"holderIdentity": m.pod},
		})
		if err != nil {
			return nil, err
		}
		m.sent = time.Now()
		lease, err := o.client.CoordinationV1().Leases(o.namespace).Patch(ctx, m.lease.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		switch {
		case err == nil:
			m.version = lease.ResourceVersion
			return m, nil
		case !apierrors.IsConflict(err):
			return nil, fmt.Errorf("patching the Lease: %w", err)
		}
		w, err := read(ctx, o.live(), o.namespace)
		if err != nil {
			return nil, err
		}
		if m, err = o.choose(ctx, w); err != nil || m == nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the Lease %s keeps changing; try again", m.lease.Name)
}

// choose chooses the pod to request. It returns nil if the pod is already master.
func (o *switchoverCommand) choose(ctx context.Context, w *world) (*move, error) {
	s := service(w.services, o.namespace, o.service)
	if s == nil {
		return nil, o.missing(ctx, o.service)
	}
	seen, err := served(w, s)
	if err != nil {
		return nil, err
	}
	if seen, _, err = o.withNodes(ctx, seen); err != nil {
		return nil, err
	}
	view := seen.View()
	m := &move{
		service: s, lease: seen.Key, version: seen.Lease.ResourceVersion,
		from: view.Lease.Holder, fromUID: view.Lease.HolderUID, epoch: view.Lease.Epoch,
	}
	gone := true
	for _, c := range view.Candidates {
		if c.UID == m.fromUID {
			m.from, gone = c.Name, false
		}
	}
	switch asked := view.Lease; {
	case o.to == "" || o.to != m.from:
	case asked.Next != "":
		return nil, fmt.Errorf("%s is still master; a switchover to %s is in progress", o.to, asked.Next)
	case asked.Holder != o.to:
		return nil, fmt.Errorf("%s is still master; a switchover to %s is in progress", o.to, asked.Holder)
	default:
		fmt.Fprintf(o.Out, "%s: %s is already master (epoch %d)\n", o.service, o.to, m.epoch)
		return nil, nil
	}
	if seen.Settings().Paused {
		leading := observation.Leading(seen.Services, seen.Key).Name
		return nil, fmt.Errorf("service/%s is paused; %s", leading, o.kubectl("active-standby resume %s", leading))
	}
	switch {
	case m.fromUID == "":
		return nil, fmt.Errorf("service %s has no master yet, because no pod has been eligible; %s", o.service, o.kubectl("active-standby check %s", o.service))
	case gone && !slices.ContainsFunc(view.Candidates, func(c election.Candidate) bool { return c.Ineligible() == "" }):
		return nil, fmt.Errorf("the master %s no longer exists, and no pod is eligible; %s", m.from, o.kubectl("active-standby check %s", o.service))
	case gone:
		return nil, fmt.Errorf("the master %s no longer exists; the controller elects another pod by itself", m.from)
	}
	m.pod, err = o.target(view)
	return m, err
}

// served looks at the Service's election, which must have a Lease.
func served(w *world, s *corev1.Service) (*observation.Observation, error) {
	o := w.look(s)
	_, problems, ok := api.Parse(s)
	switch {
	case !ok:
		return nil, fmt.Errorf("service %s is not served: %s", s.Name, problems[0].Message)
	case o.Lease == nil:
		return nil, errors.New(noLease(o.Key))
	case o.View().Lease.Foreign:
		return nil, errors.New(observation.ForeignLease(o.Lease))
	}
	return o, nil
}

// target returns the pod to request, if the controller would follow.
func (o *switchoverCommand) target(view election.View) (string, error) {
	if o.to != "" {
		return o.to, o.refused(view, o.to)
	}
	var whyNot []string
	for _, v := range election.Explain(view) {
		if v.UID == view.Lease.HolderUID || v.Unselected {
			continue
		}
		err := o.refused(view, v.Name)
		if err == nil {
			return v.Name, nil
		}
		whyNot = append(whyNot, "\n  "+err.Error())
	}
	if len(whyNot) == 0 {
		whyNot = []string{"\n  the Service selects no other pod"}
	}
	return "", fmt.Errorf("no standby of %s can become master:%s", o.service, strings.Join(whyNot, ""))
}

// refused returns why the controller would not follow; nil if it would.
func (o *switchoverCommand) refused(view election.View, pod string) error {
	view.Lease.Holder, view.Lease.Next = pod, ""
	switch d := election.Decide(view); {
	case d.Refused != nil:
		return errors.New(d.Refused.Message())
	case d.Holder != pod && d.Next != pod:
		return fmt.Errorf("%s cannot become master now: %s", pod, d.Message())
	}
	return nil
}
