package kubectl

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"
)

// bundle is a report while it is put together.
type bundle struct {
	files []file
	// unread are what could not be read, and why.
	unread []string
}

type file struct {
	name string
	data []byte
}

func (b *bundle) add(name string, data []byte) { b.files = append(b.files, file{name, data}) }

func (b *bundle) lacks(what string, err error) {
	line := fmt.Sprintf("%s: %v", what, err)
	if !slices.Contains(b.unread, line) {
		b.unread = append(b.unread, line)
	}
}

// print adds what a command of the plugin prints.
func (b *bundle) print(name string, command func(out io.Writer) error) {
	var out bytes.Buffer
	if err := command(escaping{&out}); err != nil {
		fmt.Fprintf(escaping{&out}, "error: %v\n", err)
	}
	b.add(name, out.Bytes())
}

// addObjects adds the objects as a List of YAML; no file if there are none.
func addObjects[T runtime.Object](b *bundle, name string, objects []T) {
	if len(objects) == 0 {
		return
	}
	var list []*unstructured.Unstructured
	for _, o := range objects {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			b.lacks(name, err)
			return
		}
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			b.lacks(name, err)
			return
		}
		object := &unstructured.Unstructured{Object: fields}
		object.SetGroupVersionKind(kinds[0])
		list = append(list, object)
	}
	var out bytes.Buffer
	if err := printList(&printers.YAMLPrinter{}, &out, list); err != nil {
		b.lacks(name, err)
		return
	}
	b.add(name, out.Bytes())
}

// readme says what the report holds.
func (b *bundle) readme(of string, at time.Time) string {
	var text strings.Builder
	fmt.Fprintf(&text, `Report of kubectl active-standby %s, on %s, made at %s.

Files:

`, clientVersion(), of, at.UTC().Format(time.RFC3339))
	for _, f := range b.files {
		fmt.Fprintf(&text, "  %s\n", f.name)
	}
	text.WriteString(`
What is held back:

- Secrets and ConfigMaps are never read.
- Of pods there is what matters to an election: metadata, node, ports, images, resources, probes and status. There are no
  environment variables, commands, arguments or volumes, no headers and queries of probes, and nothing that a container wrote as it ended.
- Of the events of pods there are no queries of probes, no commands that could not be run, and nothing that a probe or a hook wrote.
- Of the controller's Deployment there are its flags, and no environment variables, and of sidecars neither.
- The values of annotations of others, such as kubectl.kubernetes.io/last-applied-configuration, are removed.

Not held back are the names of objects, labels, addresses, the other texts of events, and the controller's logs, which name Services,
pods and nodes. Look through them before you hand the report to others.

What could not be read:

`)
	if len(b.unread) == 0 {
		fmt.Fprintf(&text, "  %s\n", none)
	}
	for _, line := range b.unread {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	return text.String()
}

// write writes the report as a compressed archive, whose files are in a folder.
func (b *bundle) write(out io.Writer, folder, of string, at time.Time) error {
	zipped := gzip.NewWriter(out)
	archive := tar.NewWriter(zipped)
	readme := file{"README.txt", []byte(b.readme(of, at))}
	for _, f := range append([]file{readme}, b.files...) {
		header := &tar.Header{Name: folder + "/" + f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.data); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}
