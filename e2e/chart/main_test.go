//go:build gitops

// Package chart has Helm render the chart, and compares it with manifests/.
package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/manifest"
	"qoqo.dev/active-standby-controller/e2e/cluster/local"
)

const (
	root = "../.."
	name = "active-standby-controller"
)

// mutating is the API that manifests/fail-closed needs.
const mutating = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

// program is the Helm that e2e/tools pins.
var program string

func TestMain(m *testing.M) {
	programs, err := local.BuildTools(context.Background(), os.Stderr, "helm4")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = programs["helm4"]
	os.Exit(m.Run())
}

// helm runs Helm and returns what it printed.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, &problems)
	}
	return out.String(), nil
}

// rendered returns the objects of a release with these flags.
func rendered(t *testing.T, release, namespace string, flags ...string) []unstructured.Unstructured {
	t.Helper()
	args := append([]string{"template", release, filepath.Join(root, "charts", name), "--namespace", namespace}, flags...)
	return assert.Must(manifest.Objects(assert.Must(helm(t, args...))(t)))(t)
}
