package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// diagnostics are the kubectl commands whose output explains a failure, by the file
// that it is saved in.
var diagnostics = map[string]string{
	"controller.log":          "-n " + Namespace + " logs -l app.kubernetes.io/name=active-standby-controller --all-containers --prefix --timestamps --tail=-1",
	"controller-previous.log": "-n " + Namespace + " logs -l app.kubernetes.io/name=active-standby-controller --all-containers --prefix --timestamps --tail=-1 --previous",
	"events.txt":              "get events -A --sort-by=.metadata.creationTimestamp -o wide",
	"nodes-and-pods.txt":      "get nodes,pods -A -o wide --show-labels",
	"services.yaml":           "get services -A -o yaml --show-managed-fields",
	"endpointslices.yaml":     "get endpointslices -A -o yaml",
	"leases.yaml":             "get leases -A -o yaml",
	"pods.yaml":               "get pods -A -o yaml",
}

// Diagnose saves logs, events and objects of the cluster in a directory, as far as
// the cluster still answers, and writes to Progress where they are.
func (c *Cluster) Diagnose(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var failed error
	for name, args := range diagnostics {
		text, err := c.Kubectl(ctx, "", strings.Fields(args)...)
		if err != nil {
			text += "\n" + err.Error()
		}
		failed = errors.Join(failed, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600))
	}
	c.report("Saved the controller's logs, events, EndpointSlices and Leases in %s", dir)
	return failed
}
