package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

const (
	// controllerName is the name of the controller's container, and controllerSelector selects its
	// Deployments and pods. manifests/ put them into controllerNamespace.
	controllerName      = "active-standby-controller"
	controllerSelector  = "app.kubernetes.io/name=" + controllerName
	controllerNamespace = "kube-system"
	// logLines is how many lines of a container's log are reported, the last ones.
	logLines  = 20000
	reportEnd = ".tar.gz"
)

type reportCommand struct {
	*env
	connection
	bundle
	names         []string
	allNamespaces bool
	file          string
}

func (e *env) newReport() *cobra.Command {
	o := &reportCommand{env: e}
	cmd := &cobra.Command{
		Use:   "report [SERVICE...]",
		Short: "Collect what helps to find a fault into one file",
		Long: `Collect what helps to find a fault into one file: of the Services that are named, or of all that
are annotated in the namespace, what status, check and history print, the Services, their
Leases, pods, EndpointSlices and nodes, the events, and of the controller its Deployment, pods,
logs and metrics.

Secrets and ConfigMaps are never read. Of pods there are no environment variables, commands,
arguments or volumes, and the values of annotations of others are removed. README.txt in the
file says what it holds, and what could not be read. Names, labels, addresses, logs and most
texts of events are as they are: look through them before you hand the file to others.`,
		Example: `  # Report on the annotated Services of this namespace
  kubectl active-standby report

  # Report on the Service web
  kubectl active-standby report web --file web.tar.gz

  # List what a report would hold
  kubectl active-standby report web --file - | tar -tz`,
		ValidArgsFunction: e.completeServices(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Report on the Services of all namespaces.")
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "File to write, which must not exist; - for stdout. By default active-standby-report-TIME"+reportEnd+".")
	return cmd
}

func (o *reportCommand) run(ctx context.Context) (err error) {
	if len(o.names) > 0 && o.allNamespaces {
		return errors.New("a Service cannot be retrieved by name across all namespaces")
	}
	if o.connection, err = o.connect(); err != nil {
		return err
	}
	at := time.Now()
	if o.file == "" {
		o.file = "active-standby-report-" + at.UTC().Format("20060102-150405") + reportEnd
	}
	if o.file == "-" {
		of, err := o.collect(ctx)
		if err != nil {
			return err
		}
		return o.write(unescaped(o.Out), "active-standby-report", of, at)
	}
	return o.save(ctx, at)
}

// collect reads what the report has, and returns of what it is.
func (o *reportCommand) collect(ctx context.Context) (of string, err error) {
	of = "namespace " + o.namespace
	namespaces := sets.New(o.namespace)
	if o.allNamespaces {
		of = "all namespaces"
		services, err := o.live().Annotated(ctx, metav1.NamespaceAll)
		if err != nil {
			return "", err
		}
		namespaces = sets.New[string]()
		for _, s := range services {
			namespaces.Insert(s.Namespace)
		}
	}
	o.versions()
	for _, namespace := range sets.List(namespaces) {
		c := o.connection
		c.namespace = namespace
		if err := o.elections(ctx, c); err != nil {
			return "", err
		}
	}
	o.controller(ctx)
	return of, nil
}

// save collects and writes the report. It overwrites no file, and says so before it reads
// anything. If it fails, it leaves no file.
func (o *reportCommand) save(ctx context.Context, at time.Time) (err error) {
	out, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(o.file)
		}
	}()
	of, err := o.collect(ctx)
	if err != nil {
		return err
	}
	if err := o.write(out, strings.TrimSuffix(filepath.Base(o.file), reportEnd), of, at); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s written, of %d files; README.txt in it says what it holds\n", o.file, len(o.files)+1)
	for _, line := range o.unread {
		fmt.Fprintf(o.ErrOut, "Warning: could not read %s\n", line)
	}
	return out.Close()
}

// unescaped returns the stream without the escaping of what is for a terminal.
func unescaped(out io.Writer) io.Writer {
	if e, is := out.(escaping); is {
		return e.Writer
	}
	return out
}

func (o *reportCommand) versions() {
	text := "Client Version: " + clientVersion() + "\n"
	if server, err := o.client.Discovery().ServerVersion(); err != nil {
		o.lacks("the version of the API server", err)
	} else {
		text += "Server Version: " + server.GitVersion + "\n"
	}
	o.add("version.txt", []byte(text))
}
