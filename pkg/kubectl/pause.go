package kubectl

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func (e *env) newPause() *cobra.Command {
	return &cobra.Command{
		Use:   "pause SERVICE...",
		Short: "Keep the master of a Service, whatever happens",
		Long: `Keep the master of a Service, whatever happens: there is no failover and no switchover until
"kubectl active-standby resume". If Services share a Lease, the one whose settings apply pauses it.

It sets the annotation ` + api.AnnotationPaused + ` on the Service.`,
		Example: `  # Keep the master of the Service web
  kubectl active-standby pause web`,
		Args:              someServices,
		ValidArgsFunction: e.completeServices(-1),
		RunE:              func(cmd *cobra.Command, args []string) error { return e.pause(cmd.Context(), args, true) },
	}
}

func (e *env) newResume() *cobra.Command {
	return &cobra.Command{
		Use:   "resume SERVICE...",
		Short: "Let the master of a paused Service move again",
		Long: `Let the master of a paused Service move again. If it is no longer eligible, another pod
becomes master at once.

It removes the annotation ` + api.AnnotationPaused + ` from the Service.`,
		Example: `  # Let the master of the Service web move again
  kubectl active-standby resume web`,
		Args:              someServices,
		ValidArgsFunction: e.completeServices(-1),
		RunE:              func(cmd *cobra.Command, args []string) error { return e.pause(cmd.Context(), args, false) },
	}
}

// pause pauses or resumes the Services. To pause a paused Service is an error, as with
// `kubectl rollout pause`; so is to resume one that is not paused.
func (e *env) pause(ctx context.Context, names []string, paused bool) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	services, err := c.live().Annotated(ctx, c.namespace)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if err := e.pauseOne(ctx, c, services, name, paused); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range names {
		s := service(services, c.namespace, name)
		if s == nil || paused {
			continue
		}
		if leading := observation.Leading(services, observation.LeaseKey(s)); pauses(leading) {
			fmt.Fprintf(e.ErrOut, "Warning: the master of %s still cannot move; the Service %s, whose settings apply to the Lease %s, is paused\n", name, leading.Name, api.LeaseName(s))
		}
	}
	return utilerrors.NewAggregate(errs)
}

// pauseOne pauses or resumes a Service, and updates it in the list.
func (e *env) pauseOne(ctx context.Context, c connection, services []*corev1.Service, name string, paused bool) error {
	s := service(services, c.namespace, name)
	if s == nil {
		return c.missing(ctx, name)
	}
	settings, problems, served := api.Parse(s)
	leading := observation.Leading(services, observation.LeaseKey(s))
	switch {
	case !served:
		return fmt.Errorf("services %q is not served: %s", name, problems[0].Message)
	case leading != s && paused:
		return fmt.Errorf("services %q shares the Lease %s with the Service %s, whose settings apply; %s", name, settings.LeaseName, leading.Name, c.kubectl("active-standby pause %s", leading.Name))
	case settings.Paused && paused:
		return fmt.Errorf("services %q is already paused", name)
	case !settings.Paused && !paused:
		return fmt.Errorf("services %q is not paused", name)
	}
	var value any
	done := "resumed"
	if paused {
		value, done = "true", "paused"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{api.AnnotationPaused: value}}})
	if err != nil {
		return err
	}
	now, err := c.client.CoreV1().Services(c.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("patching the Service: %w", err)
	}
	*s = *now
	fmt.Fprintf(e.Out, "service/%s %s\n", name, done)
	return nil
}

// pauses reports whether the Service asks for a pause.
func pauses(s *corev1.Service) bool {
	settings, _, _ := api.Parse(s)
	return settings.Paused
}
