package kubectl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// manifests are what files have to say about elections.
type manifests struct {
	services []manifest[*corev1.Service]
	// pods are the pods of the files, and one for each workload.
	pods []manifest[*corev1.Pod]
}

type manifest[T metav1.Object] struct {
	// source is the file, and kind what the object is there.
	source, kind string
	object       T
	// name is the object's in the file.
	name string
}

func (m manifest[T]) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s/%s: %s", m.source, strings.ToLower(m.kind), m.name, fmt.Sprintf(format, args...))
}

// extensions are those of the files that are read of a folder, as with kubectl.
var extensions = []string{".json", ".yaml", ".yml"}

// readManifests reads files, folders, and stdin for "-", and returns all that is wrong with
// annotations in them. An object without a namespace is in the one given.
func readManifests(paths []string, recursive bool, stdin io.Reader, namespace string) (found manifests, errs []error) {
	for _, path := range paths {
		files := []string{path}
		if path != "-" {
			var err error
			if files, err = filesOf(path, recursive); err != nil {
				errs = append(errs, err)
			}
		}
		for _, file := range files {
			errs = append(errs, found.readFile(file, stdin, namespace)...)
		}
	}
	return found, errs
}

// filesOf returns the path itself if it is a file, and else the files that it holds.
func filesOf(path string, recursive bool) (files []string, err error) {
	err = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && at != path && !recursive:
			return fs.SkipDir
		case !entry.IsDir() && (at == path || slices.Contains(extensions, filepath.Ext(at))):
			files = append(files, at)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: the folder holds no file that ends in %s", path, strings.Join(extensions, ", "))
	}
	return files, err
}

func (f *manifests) readFile(name string, stdin io.Reader, namespace string) (errs []error) {
	in := stdin
	if name == "-" {
		name = "stdin"
	} else {
		file, err := os.Open(name) //nolint:gosec // The user names it.
		if err != nil {
			return []error{err}
		}
		defer file.Close()
		in = file
	}
	for decoder := yaml.NewYAMLOrJSONDecoder(in, 4096); ; {
		var raw runtime.RawExtension
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return errs
		}
		if err == nil && len(raw.Raw) == 0 {
			// Comments alone, such as a license, are null.
			continue
		}
		var document map[string]any
		if err == nil {
			err = json.Unmarshal(raw.Raw, &document)
		}
		if err != nil {
			return append(errs, fmt.Errorf("%s: %w", name, err))
		}
		for _, o := range objectsIn(document) {
			errs = append(errs, f.add(name, &unstructured.Unstructured{Object: o}, namespace)...)
		}
	}
}

// objectsIn returns the objects of a document: of a list what it holds. Values of a chart, and
// the like, have no kind.
func objectsIn(document map[string]any) (objects []map[string]any) {
	kind, _ := document["kind"].(string)
	of, list := strings.CutSuffix(kind, "List")
	switch {
	case kind == "":
		return nil
	case !list:
		return []map[string]any{document}
	}
	items, _ := document["items"].([]any)
	for _, item := range items {
		o, _ := item.(map[string]any)
		if o != nil && o["kind"] == nil && of != "" {
			// The API server leaves the kind out in a list of one kind.
			o["kind"], o["apiVersion"] = of, document["apiVersion"]
		}
		objects = append(objects, objectsIn(o)...)
	}
	return objects
}

// add adds the object, and returns what is wrong with its annotations.
func (f *manifests) add(source string, object *unstructured.Unstructured, namespace string) (errs []error) {
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	m := manifest[*unstructured.Unstructured]{source, object.GetKind(), object, object.GetName()}
	check := func(kind string, carrier map[string]any) {
		for _, wrong := range quote(carrier) {
			errs = append(errs, m.errorf("%s", wrong))
		}
		for _, p := range api.Lint(kind, (&unstructured.Unstructured{Object: carrier}).GetAnnotations()) {
			errs = append(errs, m.errorf("%s", p.Message))
		}
	}
	core := object.GroupVersionKind().Group == ""
	switch {
	case m.kind == api.ObjectService && core:
		check(api.ObjectService, object.Object)
		s := &corev1.Service{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, s); err != nil {
			return append(errs, m.errorf("%v", err))
		}
		s.UID = types.UID("manifest " + s.Namespace + "/" + s.Name)
		f.services = append(f.services, manifest[*corev1.Service]{source, m.kind, s, s.Name})
	case m.kind == api.ObjectPod && core:
		check(api.ObjectPod, object.Object)
		errs = append(errs, f.addPod(m, object.Object)...)
	default:
		check(m.kind, object.Object)
		for _, path := range [][]string{{"spec", "template"}, {"spec", "jobTemplate", "spec", "template"}} {
			template, _, _ := unstructured.NestedMap(object.Object, path...)
			spec, runs := template["spec"].(map[string]any)
			if strings.Contains(object.GroupVersionKind().Group, ".") {
				// A kind that is not Kubernetes' own may have a template of something else.
				_, runs = spec["containers"].([]any)
			}
			if runs {
				check(api.ObjectPod, template)
				errs = append(errs, f.addPod(m, template)...)
			}
		}
	}
	return errs
}

// addPod adds a pod of the object, named after it.
func (f *manifests) addPod(m manifest[*unstructured.Unstructured], template map[string]any) []error {
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, pod); err != nil {
		return []error{m.errorf("%v", err)}
	}
	pod.Namespace, pod.Name = m.object.GetNamespace(), m.name
	if m.kind != api.ObjectPod {
		pod.Name = m.kind + " " + m.name
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: m.kind, Name: m.name, Controller: ptr.To(true)}}
		pod.Spec.Subdomain, _, _ = unstructured.NestedString(m.object.Object, "spec", "serviceName")
	}
	pod.UID = types.UID("manifest " + m.kind + " " + m.name)
	// Lint has reported what else it has.
	maps.DeleteFunc(pod.Annotations, func(key, value string) bool { return key != api.AnnotationCandidate || value != "false" })
	f.pods = append(f.pods, manifest[*corev1.Pod]{m.source, m.kind, pod, m.name})
	return nil
}

// quote makes strings of the annotations that are none, as in `qoqo.dev/paused: true`, and
// returns those of Domain. Such an object cannot be applied.
func quote(object map[string]any) (wrong []string) {
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if _, is := annotations[key].(string); is {
			continue
		}
		switch {
		case annotations[key] == nil:
			// To apply it is to remove it.
			delete(annotations, key)
			continue
		case strings.HasPrefix(key, api.Domain+"/"):
			wrong = append(wrong, fmt.Sprintf("annotation %s: %v is not a string; write \"%[2]v\", with the quotes", key, annotations[key]))
		}
		annotations[key] = fmt.Sprint(annotations[key])
	}
	return wrong
}
