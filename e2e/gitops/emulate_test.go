//go:build gitops

package gitops

import (
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// Argo CD is emulated after its gitops-engine (pkg/diff, pkg/utils/kube/resource_ops.go). It applies with
// kubectl's code and the field manager argocd-controller, by force if on the server. It compares
//
//   - by a three-way merge on the client, by default, as `kubectl diff` does;
//   - with ServerSideApply=true, by merging the manifest into the live object with
//     structured-merge-diff, which asks no policy;
//   - with ServerSideDiff=true by a dry run of the apply. (It then takes out what others own. No
//     other owns the selector.)
var compares = map[string]func(*play) (bool, error){
	structuredMerge: func(p *play) (bool, error) {
		manifest, live, err := p.both()
		if err != nil {
			return false, err
		}
		return changes(live, manifest, true)
	},
	serverSideDiff: func(p *play) (bool, error) {
		_, live, err := p.both()
		if err != nil {
			return false, err
		}
		text, err := p.manifest()
		if err != nil {
			return false, err
		}
		o := metav1.PatchOptions{FieldManager: "argocd-controller", Force: ptr.To(true), DryRun: []string{metav1.DryRunAll}}
		merged, err := client.CoreV1().Services(p.namespace).Patch(p.Context(), "web", types.ApplyPatchType, text, o)
		if err != nil {
			return false, err
		}
		return changes(live, merged, false)
	},
}

func (p *play) manifest() ([]byte, error) {
	return os.ReadFile(filepath.Join(p.dir, "service.yaml"))
}

// both returns the manifest and the live Service.
func (p *play) both() (manifest, live *corev1.Service, err error) {
	text, err := p.manifest()
	if err != nil {
		return nil, nil, err
	}
	manifest = &corev1.Service{}
	if err := yaml.UnmarshalStrict(text, manifest); err != nil {
		return nil, nil, err
	}
	live, err = client.CoreV1().Services(p.namespace).Get(p.Context(), "web", metav1.GetOptions{})
	return manifest, live, err
}

// changes reports whether the live Service would change to the other, or by merging the other into it.
func changes(live, other *corev1.Service, merge bool) (bool, error) {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	of := func(s *corev1.Service) runtime.Object {
		s = s.DeepCopy()
		s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
		s.ManagedFields = nil
		return s
	}
	before, err := converter.ObjectToTyped(of(live))
	if err != nil {
		return false, err
	}
	after, err := converter.ObjectToTyped(of(other))
	if err != nil {
		return false, err
	}
	if merge {
		if after, err = before.Merge(after); err != nil {
			return false, err
		}
	}
	comparison, err := before.Compare(after)
	if err != nil {
		return false, err
	}
	return !comparison.IsSame(), nil
}
