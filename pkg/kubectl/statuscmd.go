package kubectl

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/api"
)

type statusCommand struct {
	*env
	connection
	*output
	names         []string
	selector      string
	selects       labels.Selector
	allNamespaces bool
	watch         bool
}

func (e *env) newStatus() *cobra.Command {
	o := &statusCommand{env: e}
	cmd := &cobra.Command{
		Use:   "status [SERVICE...]",
		Short: "Show the masters of Services",
		Long: `Show the masters of annotated Services, of all in the namespace by default.

SINCE is for how long the pod has been master, EPOCH the number of its term, which grows, and
REASON why the pod became master. STANDBYS is how many of the other pods could take over,
of how many. STATUS is Ok, or why it is not: the reasons of the Service's events, Paused,
Observed if traffic does not follow the master (` + api.AnnotationServiceMode + `: ` + api.ModeObserve + `),
NoLease if the controller has not made a Lease, or Pending if it has yet to act. It is Ok
only if the EndpointSlices list the master alone, where they may be read.

Nodes and the controller's probes are not looked at; see "kubectl active-standby check".`,
		Example: `  # All masters of this namespace
  kubectl active-standby status

  # All masters of the cluster, with the names of their Leases
  kubectl active-standby status -A -o wide

  # Follow what happens to the Service web
  kubectl active-standby status web --watch

  # The name of the pod that is master
  kubectl active-standby status web -o jsonpath='{.status.master.name}'`,
		ValidArgsFunction: e.completeServices(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Show the Services of all namespaces.")
	cmd.Flags().StringVarP(&o.selector, "selector", "l", "", "Label selector of the Services, such as app=web.")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "After that, print changes until interrupted.")
	e.addColor(cmd)
	o.output = newOutput(cmd, "wide, json, yaml, name")
	return cmd
}

func (o *statusCommand) run(ctx context.Context) (err error) {
	if o.selects, err = labels.Parse(o.selector); err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	switch {
	case len(o.names) > 0 && o.allNamespaces:
		return errors.New("a Service cannot be retrieved by name across all namespaces")
	case len(o.names) > 0 && o.selector != "":
		return errors.New("name cannot be provided when a selector is specified")
	}
	printer, err := o.printer()
	if err != nil {
		return err
	}
	if o.connection, err = o.connect(); err != nil {
		return err
	}
	namespace := o.namespace
	if o.allNamespaces {
		namespace = metav1.NamespaceAll
	}
	if o.watch {
		return o.follow(ctx, namespace, printer)
	}
	w, err := read(ctx, o.live(), namespace)
	if err != nil {
		return err
	}
	rows, errs := o.rows(ctx, w)
	switch {
	case len(rows) == 0 && len(errs) == 0 && o.tabular():
		if o.allNamespaces {
			fmt.Fprintln(o.ErrOut, "No annotated Services found.")
		} else {
			fmt.Fprintf(o.ErrOut, "No annotated Services found in %s namespace.\n", o.namespace)
		}
	case len(rows) > 0 || len(errs) == 0:
		if err := o.print(printer, rows, len(o.names) == 1); err != nil {
			errs = append(errs, err)
		}
	}
	return utilerrors.NewAggregate(errs)
}

// rows returns the rows of the Services that were named, or of all that the selector matches.
func (o *statusCommand) rows(ctx context.Context, w *world) (rows []row, errs []error) {
	add := func(s *corev1.Service) {
		r := rowOf(w, s)
		problems, err := o.withRefusal(ctx, s, r.status.Problems)
		if err != nil {
			errs = append(errs, err)
			return
		}
		r.status.Problems = problems
		rows = append(rows, r)
	}
	if len(o.names) == 0 {
		for _, s := range w.services {
			if o.selects.Matches(labels.Set(s.Labels)) {
				add(s)
			}
		}
		slices.SortFunc(rows, byKey)
		return rows, errs
	}
	for _, name := range o.names {
		if s := service(w.services, o.namespace, name); s != nil {
			add(s)
		} else {
			errs = append(errs, o.missing(ctx, name))
		}
	}
	return rows, errs
}

func (o *statusCommand) print(printer printers.ResourcePrinter, rows []row, single bool) error {
	if o.tabular() {
		writer := printers.GetNewTabWriter(o.Out)
		defer writer.Flush()
		return printer.PrintObj(o.table(rows), writer)
	}
	var objects []*unstructured.Unstructured
	for _, r := range rows {
		object, err := o.object(r)
		if err != nil {
			return err
		}
		objects = append(objects, object)
	}
	if single && len(objects) == 1 {
		return printer.PrintObj(objects[0], o.Out)
	}
	return printList(printer, o.Out, objects)
}

func (o *statusCommand) table(rows []row) *metav1.Table {
	columns := statusColumns
	if o.allNamespaces {
		columns = append([]string{"Namespace"}, columns...)
	}
	var cells [][]any
	for _, r := range rows {
		row := r.cells(o.allNamespaces)
		row[len(row)-1] = o.paint(r.status.color(), r.status.word())
		cells = append(cells, row)
	}
	return table(columns, cells...)
}

// object returns what is printed of the row. With "-o name" that is the Service itself, as
// an argument for other commands.
func (o *statusCommand) object(r row) (*unstructured.Unstructured, error) {
	if o.format == "name" {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": corev1.SchemeGroupVersion.String(), "kind": "Service",
			"metadata": map[string]any{"namespace": r.key.Namespace, "name": r.key.Name},
		}}, nil
	}
	return r.object()
}

// follow prints the rows, and then those that change, until the context ends.
func (o *statusCommand) follow(ctx context.Context, namespace string, printer printers.ResourcePrinter) error {
	// Informers retry for ever. What cannot be read at all must be an error at once.
	w, err := read(ctx, o.live(), namespace)
	if err != nil {
		return err
	}
	if _, errs := o.rows(ctx, w); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	f, err := follow(ctx, o.client, namespace)
	if err != nil {
		return err
	}
	writer := printers.GetNewTabWriter(o.Out)
	shown := map[types.NamespacedName]status{}
	for {
		w, err := f.world(ctx)
		if err != nil {
			return err
		}
		rows, _ := o.rows(ctx, w)
		for _, r := range changes(shown, rows) {
			if o.tabular() {
				err = printer.PrintObj(o.table([]row{r}), writer)
			} else {
				var object *unstructured.Unstructured
				if object, err = o.object(r); err == nil {
					err = printer.PrintObj(object, o.Out)
				}
			}
			if err != nil {
				return err
			}
		}
		if err := writer.Flush(); err != nil {
			return err
		}
		if err := f.wait(ctx); err != nil {
			return err
		}
	}
}

// changes returns the rows that differ from what is shown, and takes them for shown from
// now on.
func changes(shown map[types.NamespacedName]status, rows []row) (changed []row) {
	there := map[types.NamespacedName]bool{}
	for _, r := range rows {
		there[r.key] = true
		if before, found := shown[r.key]; !found || !reflect.DeepEqual(before, r.status) {
			shown[r.key] = r.status
			changed = append(changed, r)
		}
	}
	for key, last := range shown {
		if !there[key] {
			delete(shown, key)
			last.OK, last.Problems = false, []problem{{statusGone, "the Service was deleted, or is no longer annotated"}}
			changed = append(changed, row{key, last})
		}
	}
	slices.SortFunc(changed, byKey)
	return changed
}
