// Package gitops has real tools apply the manifest of a Service while its master moves, and says
// what came of it: in its tests (build tag gitops), and in docs/gitops.md.
package gitops

import "slices"

// Tool is a tool that applies a manifest. Its commands run in a folder that holds service.yaml,
// kustomization.yaml and a chart of the same.
type Tool struct {
	Name string
	// Merges: the tool keeps keys in the selector that its manifest lacks.
	Merges bool
	// ByKey: it compares key by key, so that the controller's key is a difference.
	ByKey bool
	// Back is empty if the tool cannot go back, and Diff if it does not compare.
	Install, Upgrade, Back, Diff, Uninstall string
}

const (
	serverSide = "kubectl apply --server-side -f service.yaml"
	forced     = "kubectl apply --server-side --force-conflicts -f service.yaml"
	asArgoCD   = " --field-manager argocd-controller"
	remove     = "kubectl delete -f service.yaml"
	helm3      = "helm3 upgrade web ./chart"
	helm4      = "helm4 upgrade web ./chart"
)

// Tools are those that are tried. Argo CD is emulated; see emulate_test.go.
var Tools = []Tool{
	{"`kubectl apply`", true, false, "kubectl apply -f service.yaml", "kubectl apply -f service.yaml", "", "kubectl diff -f service.yaml", remove},
	{"`kubectl apply --server-side`", false, false, serverSide, serverSide, "", "kubectl diff --server-side -f service.yaml", remove},
	{"`kubectl apply --server-side --force-conflicts`", false, false, forced, forced, "", "kubectl diff --server-side --force-conflicts -f service.yaml", remove},
	{"`kubectl replace`", false, false, "kubectl create -f service.yaml", "kubectl replace -f service.yaml", "", "", remove},
	{"Kustomize, `kubectl apply -k`", true, false, "kubectl apply -k .", "kubectl apply -k .", "", "kubectl diff -k .", "kubectl delete -k ."},
	{"Helm 3", true, false, "helm3 install web ./chart", helm3, "helm3 rollback web", "", "helm3 uninstall web"},
	{"Helm 3, `--force`", false, false, "helm3 install web ./chart", helm3 + " --force", "helm3 rollback web --force", "", "helm3 uninstall web"},
	{"Helm 3, adopting what `kubectl apply` made", true, false, "kubectl apply -f service.yaml", helm3 + " --install --take-ownership", "helm3 rollback web", "", "helm3 uninstall web"},
	{"Helm 4", false, false, "helm4 install web ./chart", helm4, "helm4 rollback web", "", "helm4 uninstall web"},
	{"Helm 4, `--force-conflicts`", false, false, "helm4 install web ./chart", helm4 + " --force-conflicts", "helm4 rollback web --force-conflicts", "", "helm4 uninstall web"},
	{"Helm 4, `--server-side=false`", true, false, "helm4 install web ./chart --server-side=false", helm4 + " --server-side=false", "helm4 rollback web --server-side=false", "", "helm4 uninstall web"},
	{"Helm 4, adopting what `kubectl apply` made", false, false, "kubectl apply -f service.yaml", helm4 + " --install --take-ownership --force-conflicts", "helm4 rollback web --force-conflicts", "", "helm4 uninstall web"},
	{"Flux, kustomize-controller", false, false, "flux apply -f service.yaml", "flux apply -f service.yaml", "", "flux diff -f service.yaml", "flux delete -f service.yaml"},
	{"Flux, kustomize-controller, `force`", false, false, "flux apply --force -f service.yaml", "flux apply --force -f service.yaml", "", "flux diff -f service.yaml", "flux delete -f service.yaml"},
	{"Argo CD", true, false, "kubectl apply -f service.yaml" + asArgoCD, "kubectl apply -f service.yaml" + asArgoCD, "", "kubectl diff -f service.yaml" + asArgoCD, remove},
	{"Argo CD, `ServerSideApply=true`", false, true, forced + asArgoCD, forced + asArgoCD, "", structuredMerge, remove},
	{"Argo CD, the same with `ServerSideDiff=true`", false, false, forced + asArgoCD, forced + asArgoCD, "", serverSideDiff, remove},
}

// The ways in which Argo CD compares, which are emulated.
const (
	structuredMerge = "argocd structured-merge"
	serverSideDiff  = "argocd server-side"
)

// Form is a way to write the manifest.
type Form struct {
	Name string
	// Static: the manifest has all that the controller would write.
	Static bool
	// Annotations are those besides the one that opts in, and Selector is that of the Service.
	Annotations, Selector string
}

// Forms are those of docs/gitops.md.
var Forms = []Form{
	{"routing `selector`", false, "", "{app: web}"},
	{"routing `endpointslice`", false, "qoqo.dev/routing: endpointslice", "{app: web}"},
	{"routing `label`", true, "", "{app: web, qoqo.dev/pod-designation: active}"},
	{"`endpointslice`, a constant key", true, "qoqo.dev/routing: endpointslice", "{app: web, qoqo.dev/routing: endpointslice}"},
	{"`endpointslice`, no selector", true, "qoqo.dev/routing: endpointslice\nqoqo.dev/selector: app=web", ""},
}

// Results are those of a run.
type Results struct {
	// Versions are those of the programs.
	Versions map[string]string `json:"versions"`
	Cells    []Cell            `json:"cells"`
}

// Cell is what came of a tool.
type Cell struct {
	Tool string `json:"tool"`
	Form string `json:"form"`
	// Policy: manifests/fail-closed was in force.
	Policy bool `json:"policy"`
	// Failed is the command that failed, with its output; the commands after it were not tried.
	Failed string `json:"failed,omitempty"`
	// Drift: a comparison with the unchanged manifest showed a difference after a switchover.
	Drift bool `json:"drift,omitempty"`
	// Newborn is for how many milliseconds, at the longest, the EndpointSlices listed several pods
	// before the first election. Open and Closed are for how many they listed another pod than the
	// master, and no pod, after it.
	Newborn float64 `json:"newborn,omitempty"`
	Open    float64 `json:"open,omitempty"`
	Closed  float64 `json:"closed,omitempty"`
	// Warnings are the reasons of the controller's Warning events of the Service.
	Warnings []string `json:"warnings,omitempty"`
}

func tool(name string) Tool {
	return Tools[slices.IndexFunc(Tools, func(t Tool) bool { return t.Name == name })]
}

func form(name string) Form {
	return Forms[slices.IndexFunc(Forms, func(f Form) bool { return f.Name == name })]
}
