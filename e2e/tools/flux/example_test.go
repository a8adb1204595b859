package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	helm "github.com/fluxcd/helm-controller/api/v2"
	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	source "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

// objects has those of examples/flux, each as Flux' own type, which allows no other fields.
type objects struct {
	oci           source.OCIRepository
	git           source.GitRepository
	release       helm.HelmRelease
	kustomization kustomize.Kustomization
}

func read(t *testing.T) (o objects) {
	t.Helper()
	kinds := map[string]any{"OCIRepository": &o.oci, "GitRepository": &o.git, "HelmRelease": &o.release, "Kustomization": &o.kustomization}
	for _, file := range []string{"controller.yaml", "web.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "examples", "flux", file))
		if err != nil {
			t.Fatal(err)
		}
		documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
		for {
			one := make([]byte, len(text))
			n, err := documents.Read(one)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var u unstructured.Unstructured
			if err := yaml.Unmarshal(one[:n], &u.Object); err != nil {
				t.Fatal(err)
			}
			into, known := kinds[u.GetKind()]
			if !known {
				t.Fatalf("%s has a %s, or a second one", file, u.GetKind())
			}
			delete(kinds, u.GetKind())
			raw, err := yaml.YAMLToJSONStrict(one[:n])
			if err != nil {
				t.Fatal(err)
			}
			unknown, err := json.UnmarshalStrict(raw, into)
			if err := errors.Join(append(unknown, err)...); err != nil {
				t.Errorf("%s of %s: %v", u.GetKind(), file, err)
			}
		}
	}
	for kind := range kinds {
		t.Errorf("there is no %s", kind)
	}
	return o
}

// The objects of examples/flux refer to each other, and to folders that exist.
func TestExample(t *testing.T) {
	o := read(t)
	if got, want := o.oci.APIVersion, source.GroupVersion.String(); got != want || o.git.APIVersion != want {
		t.Errorf("the sources are of %s and %s, want %s", got, o.git.APIVersion, want)
	}
	if got, want := o.release.APIVersion, helm.GroupVersion.String(); got != want {
		t.Errorf("the HelmRelease is of %s, want %s", got, want)
	}
	if got, want := o.kustomization.APIVersion, kustomize.GroupVersion.String(); got != want {
		t.Errorf("the Kustomization is of %s, want %s", got, want)
	}
	text, err := os.ReadFile(filepath.Join(root, "charts", o.oci.Name, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var known map[string]any
	if err := yaml.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	for value := range o.release.GetValues() {
		if _, is := known[value]; !is {
			t.Errorf("the chart has no value %s", value)
		}
	}
	if c := o.release.Spec.ChartRef; c == nil || c.Kind != o.oci.Kind || c.Name != o.oci.Name || o.oci.Namespace != o.release.Namespace {
		t.Errorf("the HelmRelease refers to %+v, and not to the OCIRepository", c)
	}
	if s := o.kustomization.Spec.SourceRef; s.Kind != o.git.Kind || s.Name != o.git.Name || o.git.Namespace != o.kustomization.Namespace {
		t.Errorf("the Kustomization refers to %+v, and not to the GitRepository", s)
	}
	if manifests, err := filepath.Glob(filepath.Join(root, o.kustomization.Spec.Path, "*.yaml")); err != nil || len(manifests) == 0 {
		t.Errorf("no manifest is in %s: %v", o.kustomization.Spec.Path, err)
	}
	if got := o.oci.Spec.LayerSelector; got == nil || got.Operation != source.OCILayerCopy {
		t.Errorf("of the chart's layers is taken %+v, want one that is copied", got)
	}
	if !o.kustomization.Spec.Wait {
		t.Error("the Kustomization does not wait")
	}
}

// Flux' own evaluation of the expressions says how far a Service is.
func TestHealth(t *testing.T) {
	checks := read(t).kustomization.Spec.HealthCheckExprs
	if len(checks) != 1 || checks[0].APIVersion != "v1" || checks[0].Kind != "Service" {
		t.Fatalf("the expressions are %+v, want those of Services", checks)
	}
	evaluator, err := cel.NewStatusEvaluator(&checks[0].HealthCheckExpressions)
	if err != nil {
		t.Fatal(err)
	}
	const annotated = "metadata: {annotations: {qoqo.dev/service-mode: active-standby}}\n"
	has := func(condition, is string) string {
		return "status: {loadBalancer: {}, conditions: [{type: " + condition + ", status: " + `"` + is + `"}]}`
	}
	for name, row := range map[string]struct {
		service string
		want    status.Status
	}{
		"a Service without annotations is healthy":              {"metadata: {name: web}\nstatus: {loadBalancer: {}}", status.CurrentStatus},
		"a Service with other annotations is healthy":           {"metadata: {annotations: {a: b}}\nstatus: {loadBalancer: {}}", status.CurrentStatus},
		"an annotated Service without conditions is waited for": {annotated + "status: {loadBalancer: {}}", status.InProgressStatus},
		"another condition does not count":                      {annotated + has("Other", "True"), status.InProgressStatus},
		"a Service without a master is waited for":              {annotated + has("qoqo.dev/MasterReady", "False"), status.InProgressStatus},
		"a Service with a master is healthy":                    {annotated + has("qoqo.dev/MasterReady", "True"), status.CurrentStatus},
		"a Service that is observed is healthy":                 {annotated + has("qoqo.dev/MasterReady", "Unknown"), status.CurrentStatus},
	} {
		var u unstructured.Unstructured
		if err := yaml.UnmarshalStrict([]byte(row.service), &u.Object); err != nil {
			t.Fatal(err)
		}
		got, err := evaluator.Evaluate(t.Context(), &u)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.Status != row.want {
			t.Errorf("%s: it is %s, want %s", name, got.Status, row.want)
		}
	}
}
