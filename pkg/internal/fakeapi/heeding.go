package fakeapi

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Heeding heeds contexts, which the fake clientset does not, for the patches of Services,
// the middle of a switch.
type Heeding struct{ kubernetes.Interface }

// IsWatchListSemanticsUnSupported tells informers, as the fake clientset does, to list
// before they watch.
func (Heeding) IsWatchListSemanticsUnSupported() bool { return true }

// CoreV1 returns the client of the group whose patches of Services heed contexts.
func (h Heeding) CoreV1() typedcorev1.CoreV1Interface { return heedingCore{h.Interface.CoreV1()} }

type heedingCore struct{ typedcorev1.CoreV1Interface }

func (h heedingCore) Services(namespace string) typedcorev1.ServiceInterface {
	return heedingServices{h.CoreV1Interface.Services(namespace)}
}

type heedingServices struct{ typedcorev1.ServiceInterface }

func (h heedingServices) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (*corev1.Service, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return h.ServiceInterface.Patch(ctx, name, kind, data, options, subresources...)
}
