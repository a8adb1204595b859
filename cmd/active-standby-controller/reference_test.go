package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	kmetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/controller"
	"qoqo.dev/active-standby-controller/pkg/election"
)

var update = flag.Bool("update", false, "write the generated parts of docs/reference.md, and the copies of manifests/ in the chart")

const (
	root      = "../.."
	reference = root + "/docs/reference.md"
)

// The parts of docs/reference.md between a comment that begins with "generated:" and
// one that says "end" are made from the tables in the code.
func TestReference(t *testing.T) {
	document, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{
		"service-annotations": annotationTable(api.ObjectService),
		"pod-annotations":     annotationTable(api.ObjectPod),
		"written":             writtenTable(),
		"events":              eventTable(),
		"metrics":             metricTable(t),
		"flags":               flagText(t),
	}
	part := regexp.MustCompile(`(?s)(<!-- generated: ([a-z-]+), by make update -->\n)(.*?)(<!-- end -->)`)
	want := part.ReplaceAllFunc(document, func(old []byte) []byte {
		found := part.FindSubmatch(old)
		name := string(found[2])
		text, known := parts[name]
		if !known {
			t.Errorf("docs/reference.md has the part %q twice, or it is not known", name)
		}
		delete(parts, name)
		return slices.Concat(found[1], []byte("\n"+text+"\n"), found[4])
	})
	for name := range parts {
		t.Errorf("docs/reference.md has no part %q", name)
	}
	if t.Failed() {
		return
	}
	if *update {
		if err := os.WriteFile(reference, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(document), "\n")); diff != "" {
		t.Errorf("docs/reference.md is not what the code says; run make update (-code +document):\n%s", diff)
	}
}

func annotationTable(object string) string {
	var rows [][]string
	for _, a := range api.Annotations() {
		if a.Object == object {
			rows = append(rows, []string{code(a.Key), code(a.Default), literals(a.Allowed), literals(a.Sentence) + more(a.See)})
		}
	}
	return table([]string{"annotation", "default", "allowed", "meaning"}, rows)
}

func writtenTable() string {
	var rows [][]string
	for _, k := range api.Written() {
		rows = append(rows, []string{k.Object + ", " + k.Where, code(k.Key), literals(k.Value)})
	}
	return table([]string{"where", "key", "value"}, rows)
}

func eventTable() string {
	var rows [][]string
	for _, e := range allEvents() {
		reason := code(e.Reason)
		if e.InLease {
			reason += " *Lease*"
		}
		rows = append(rows, []string{reason, e.Type, literals(e.Meaning), literals(e.Advice) + more(e.See)})
	}
	return table([]string{"reason", "type", "meaning", "what to do"}, rows)
}

func allEvents() []api.Event { return append(election.Events(), api.Events()...) }

func metricTable(t *testing.T) string {
	t.Helper()
	var rows [][]string
	for _, f := range gatherMetrics(t).own {
		rows = append(rows, []string{code(f.name), f.kind, f.labels, f.help})
	}
	return table([]string{"metric", "type", "labels", "meaning"}, rows)
}

func flagText(t *testing.T) string {
	t.Helper()
	t.Cleanup(func() {
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Error(err)
		}
	})
	var text bytes.Buffer
	const columns = 110
	cliflag.PrintSections(&text, newOptions().flags(), columns)
	trailing := regexp.MustCompile(`(?m) +$`)
	return "```text\n" + strings.Trim(trailing.ReplaceAllString(text.String(), ""), "\n") + "\n```\n"
}

// metric is the entry of a metric in the reference.
type metric struct{ name, kind, labels, help string }

type metrics struct {
	own []metric
	// names are those of all metrics, with those of client-go and of the queue.
	names []string
}

// gatherMetrics returns the metrics of a controller that looks after one election.
func gatherMetrics(t *testing.T) (found metrics) {
	t.Helper()
	// It registers the metrics of requests, which the fake client does not count.
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Discovery().ServerVersion(); err == nil {
		t.Fatal("an answer, want 404")
	}
	registry := kmetrics.NewKubeRegistry()
	c := serving(t, registry)
	err = wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		families, err := registry.Gather()
		return len(families) == len(c.Metrics())+len(described(c.State())), err
	})
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	stability := regexp.MustCompile(`^\[[A-Z]+\] `)
	for _, f := range families {
		m := metric{name: f.GetName(), kind: strings.ToLower(f.GetType().String()), help: stability.ReplaceAllString(f.GetHelp(), "")}
		var labels []string
		for _, label := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, code(label.GetName()))
		}
		m.labels = strings.Join(labels, ", ")
		found.own = append(found.own, m)
		found.names = append(found.names, m.name)
	}
	libraries, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range libraries {
		found.names = append(found.names, f.GetName())
	}
	return found
}

// serving runs a controller that has an election with a master.
func serving(t *testing.T, registry kmetrics.KubeRegistry) *controller.Controller {
	t.Helper()
	of := metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "1", Labels: map[string]string{"app": "web"}}
	pod := &corev1.Pod{ObjectMeta: of, Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	service := &corev1.Service{ObjectMeta: of, Spec: corev1.ServiceSpec{Selector: of.Labels}}
	service.Annotations = map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}
	client := fake.NewClientset(service, pod)
	// An object that exists has a version, which the fake client leaves out.
	client.PrependReactor("create", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
		l, _ := action.(clienttesting.CreateAction).GetObject().(*coordinationv1.Lease)
		l.ResourceVersion = "1"
		return false, nil, nil
	})
	c, err := controller.New(client, events.NewFakeRecorder(100), nil, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ProbeNodes(5 * time.Second)
	registry.MustRegister(c.Metrics()...)
	registry.CustomMustRegister(c.State())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

func described(c kmetrics.StableCollector) (all []*kmetrics.Desc) {
	to := make(chan *kmetrics.Desc)
	go func() {
		defer close(to)
		c.DescribeWithStability(to)
	}()
	for d := range to {
		all = append(all, d)
	}
	return all
}

func table(head []string, rows [][]string) string {
	var b strings.Builder
	for _, row := range slices.Concat([][]string{head, slices.Repeat([]string{"---"}, len(head))}, rows) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return strings.ReplaceAll(b.String(), "|  |", "| |")
}

// code returns the text as code, or nothing if there is none.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

var literal = regexp.MustCompile(`"([^"]+)"`)

// literals turns what stands in double quotes into code.
func literals(text string) string { return literal.ReplaceAllString(text, "`$1`") }

func more(see string) string {
	if see == "" {
		return ""
	}
	return " [More](" + see + ")."
}

// A document may name only keys, metrics and events that exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	var keys, reasons []string
	for _, a := range api.Annotations() {
		keys = append(keys, a.Key)
	}
	for _, k := range api.Written() {
		keys = append(keys, k.Key)
	}
	for _, e := range allEvents() {
		reasons = append(reasons, e.Reason)
	}
	checks := []struct {
		what  string
		named *regexp.Regexp
		known []string
	}{
		{"key", regexp.MustCompile(`\b(qoqo\.dev/[a-z-]*[a-z])\b`), append(keys, api.Domain+"/"+api.ManagedBy)},
		{"metric", regexp.MustCompile(`\b((?:active_standby|workqueue|rest_client)_[a-z_]+)`), gatherMetrics(t).names},
		{"event", regexp.MustCompile("[Ee]vents? `([A-Z][A-Za-z]+)`"), reasons},
	}
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range checks {
			for _, found := range check.named.FindAllSubmatch(text, -1) {
				// The parts of a histogram have names of their own.
				if name := strings.TrimSuffix(string(found[1]), "_bucket"); !slices.Contains(check.known, name) {
					t.Errorf("%s names the %s %s, which does not exist", path, check.what, name)
				}
			}
		}
	}
}

// documents returns the paths of what users read and apply.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*", "examples/*/*", "manifests/*", "manifests/*/*", "charts/*/*", "charts/*/*/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			// The CHANGELOG names what existed once.
			if ext := filepath.Ext(path); (ext == ".md" || ext == ".yaml") && filepath.Base(path) != "CHANGELOG.md" {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// The manifests and the chart name one version of the image, and what they have it run with this program knows.
func TestManifestsAreOfThisProgram(t *testing.T) {
	// The tag of an image begins with a v, and the version of a chart does not.
	named := regexp.MustCompile(`(?m)(?:qoqodev/active-standby-controller:|newTag: )(\S+)|(?:^version: |^appVersion: |--version |targetRevision: |ref: \{tag: )([^\s}]+)`)
	versions := map[string][]string{}
	for _, path := range []string{"manifests/deployment.yaml", "manifests/Kustomization", "docs/install.md", chart + "/Chart.yaml", "examples/argo-cd/controller.yaml", "examples/flux/controller.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range named.FindAllSubmatch(text, -1) {
			version := string(found[1])
			if version == "" {
				version = "v" + string(found[2])
			}
			if version != "main" {
				versions[version] = append(versions[version], path)
			}
		}
	}
	if len(versions) != 1 {
		t.Errorf("versions, and where they are: %v", versions)
	}
	manifest, err := os.ReadFile(filepath.Join(root, "manifests/deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.Unmarshal(manifest, &deployment); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Error(err)
		}
	})
	cmd := newCommand(t.Context())
	if args := deployment.Spec.Template.Spec.Containers[0].Args; len(args) == 0 {
		t.Error("the container has no arguments")
	} else if err := cmd.ParseFlags(args); err != nil {
		t.Error(err)
	}
}
