package kubectl

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// What kubectl prints for a value that does not exist, and for one that is not known.
const (
	none    = "<none>"
	unknown = "<unknown>"
)

const wide = "wide"

// output is how a command prints.
type output struct {
	format    string
	noHeaders bool
	flags     *genericclioptions.PrintFlags
}

// newOutput adds the flags of the output to the command. Its help names the formats.
func newOutput(cmd *cobra.Command, formats string) *output {
	o := &output{flags: genericclioptions.NewPrintFlags("")}
	o.flags.OutputFormat = &o.format
	cmd.Flags().StringVarP(&o.format, "output", "o", "", "Output format. One of: ("+formats+", jsonpath=..., go-template=...).")
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "Don't print headers.")
	return o
}

// tabular reports whether a table is printed, and not objects.
func (o *output) tabular() bool { return o.format == "" || o.format == wide }

func (o *output) printer() (printers.ResourcePrinter, error) {
	if o.tabular() {
		return printers.NewTablePrinter(printers.PrintOptions{Wide: o.format == wide, NoHeaders: o.noHeaders}), nil
	}
	printer, err := o.flags.ToPrinter()
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return nil, genericclioptions.NoCompatiblePrinterError{OutputFormat: &o.format, AllowedFormats: append(o.flags.AllowedFormats(), wide)}
	}
	return printer, err
}

// table returns a table. A column whose name is in parentheses is shown in wide output
// alone.
func table(columns []string, rows ...[]any) *metav1.Table {
	t := &metav1.Table{}
	for _, name := range columns {
		column := metav1.TableColumnDefinition{Name: name, Type: "string"}
		if name[0] == '(' {
			column.Name, column.Priority = name[1:len(name)-1], 1
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, column)
	}
	for _, cells := range rows {
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	return t
}

// object returns an object of a kind of the plugin's own, which is printed as API objects are.
func object(kind, namespace, name, field string, content any) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(content)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", kind, err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": api.Domain + "/v1", "kind": kind,
		"metadata": map[string]any{"namespace": namespace, "name": name},
		field:      fields,
	}}, nil
}

// printList prints the objects as one List.
func printList(printer printers.ResourcePrinter, out io.Writer, objects []*unstructured.Unstructured) error {
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List"}}
	for _, o := range objects {
		list.Items = append(list.Items, *o)
	}
	return printer.PrintObj(list, out)
}

// since returns how long ago the time was, in kubectl's form.
func since(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return duration.HumanDuration(time.Since(t))
}
