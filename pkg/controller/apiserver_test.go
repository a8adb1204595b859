package controller

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// latency is what a request of a controller takes. With it two replicas that
// see the same change always write at the same time, as on a real cluster.
const latency = 10 * time.Millisecond

// apiserver is a fake clientset's store made as strict as the API server where
// the controller relies on it: UIDs, resource versions, conflicts, delete
// preconditions, and selectors of watches.
type apiserver struct {
	clienttesting.ObjectTracker

	lock    sync.Mutex
	version int64
	// names are those of all objects that there ever were; those that are no
	// more are marked.
	names map[types.UID]string
	// interfere is called before each request of a controller is served; an
	// error that it returns is the answer.
	interfere func(clienttesting.Action) error
	// admit may change what is to be stored, as webhooks do.
	admit func(runtime.Object)
	// before is what an object was before the resource version.
	before map[string]runtime.Object
	// watches counts, by resource, those that go on.
	watches map[string]int
}

func newAPIServer() *apiserver {
	// The tracker of NewClientset keeps managedFields, unlike the simpler one.
	return &apiserver{ObjectTracker: fake.NewClientset().Tracker(), names: map[types.UID]string{}, before: map[string]runtime.Object{}, watches: map[string]int{}}
}

// client is one client of it; each remembers its own actions alone. Its watches
// of a resource are as much later still as behind says.
func (s *apiserver) client(latency time.Duration, behind map[string]time.Duration) *fake.Clientset {
	c := &fake.Clientset{}
	react := clienttesting.ObjectReaction(s)
	c.AddReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if latency > 0 {
			// The fake serves one request at a time, which must not add up.
			c.Unlock()
			time.Sleep(latency)
			c.Lock()
			if err := s.interference(action); err != nil {
				return true, nil, err
			}
		}
		if named, ok := action.(interface{ GetName() string }); ok {
			// So answers the real client, without asking the API server.
			if errs := content.IsPathSegmentName(named.GetName()); len(errs) > 0 {
				return true, nil, fmt.Errorf("invalid resource name %q: %v", named.GetName(), errs)
			}
		}
		return react(action)
	})
	c.AddWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := s.watch(action.(clienttesting.WatchActionImpl), lag+behind[action.GetResource().Resource])
		return true, w, err
	})
	return c
}

func (s *apiserver) interference(action clienttesting.Action) error {
	s.lock.Lock()
	interfere := s.interfere
	s.lock.Unlock()
	if interfere == nil {
		return nil
	}
	return interfere(action)
}

// onRequest sets interfere.
func (s *apiserver) onRequest(interfere func(clienttesting.Action) error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.interfere = interfere
}

// latest is the version of the last write.
func (s *apiserver) latest() int64 {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.version
}

func (s *apiserver) next() string {
	s.version++
	return strconv.FormatInt(s.version, 10)
}

func (s *apiserver) Create(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.CreateOptions) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	object := access(o)
	if object.GetResourceVersion() != "" {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	uid := types.UID("uid-" + s.next())
	object.SetUID(uid)
	object.SetResourceVersion(s.next())
	object.SetCreationTimestamp(metav1.Now())
	if err := s.ObjectTracker.Create(gvr, o, namespace, options...); err != nil {
		return err
	}
	s.names[uid] = object.GetName()
	return nil
}

func (s *apiserver) Update(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.UpdateOptions) error {
	return s.replace(gvr, o, namespace, func() error { return s.ObjectTracker.Update(gvr, o, namespace, options...) })
}

// Patch gets the result of the patch. Where the patch names a UID and a
// resource version it holds these, otherwise the object's own.
func (s *apiserver) Patch(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.PatchOptions) error {
	return s.replace(gvr, o, namespace, func() error { return s.ObjectTracker.Patch(gvr, o, namespace, options...) })
}

func (s *apiserver) replace(gvr schema.GroupVersionResource, o runtime.Object, namespace string, write func() error) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	object := access(o)
	live, err := s.Get(gvr, namespace, object.GetName())
	if err != nil {
		return err
	}
	if err := agree(gvr, access(live), object.GetUID(), object.GetResourceVersion()); err != nil {
		return err
	}
	if s.admit != nil {
		s.admit(o)
	}
	if apiequality.Semantic.DeepEqual(live, o) {
		return nil
	}
	object.SetResourceVersion(s.next())
	s.before[object.GetResourceVersion()] = live
	return write()
}

func (s *apiserver) Delete(gvr schema.GroupVersionResource, namespace, name string, options ...metav1.DeleteOptions) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	live, err := s.Get(gvr, namespace, name)
	if err != nil {
		return err
	}
	if p := options[0].Preconditions; p != nil {
		uid, version := access(live).GetUID(), access(live).GetResourceVersion()
		if p.UID != nil {
			uid = *p.UID
		}
		if p.ResourceVersion != nil {
			version = *p.ResourceVersion
		}
		if err := agree(gvr, access(live), uid, version); err != nil {
			return err
		}
	}
	if pod, is := live.(*corev1.Pod); is && ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 0) > 0 && ptr.Deref(options[0].GracePeriodSeconds, 1) > 0 {
		if pod.DeletionTimestamp != nil {
			return nil
		}
		pod = pod.DeepCopy()
		pod.DeletionTimestamp, pod.ResourceVersion = ptr.To(metav1.Now()), s.next()
		s.before[pod.ResourceVersion] = live
		return s.ObjectTracker.Update(gvr, pod, namespace)
	}
	s.names[access(live).GetUID()] += " [gone]"
	return s.ObjectTracker.Delete(gvr, namespace, name, options...)
}

// agree is stricter than the API server, which takes an Update that names
// neither: the controller has to name both.
func agree(gvr schema.GroupVersionResource, live metav1.Object, uid types.UID, version string) error {
	if live.GetUID() != uid || live.GetResourceVersion() != version {
		return apierrors.NewConflict(gvr.GroupResource(), live.GetName(), fmt.Errorf("it is %s in version %s, and not %s in version %s",
			live.GetUID(), live.GetResourceVersion(), uid, version))
	}
	return nil
}

// List leaves out what the field selector does not match; label selectors are
// applied by the fake client itself.
func (s *apiserver) List(gvr schema.GroupVersionResource, gvk schema.GroupVersionKind, namespace string, options ...metav1.ListOptions) (runtime.Object, error) {
	list, err := s.ObjectTracker.List(gvr, gvk, namespace, options...)
	if err != nil {
		return nil, err
	}
	all, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	selected := []runtime.Object{}
	for _, o := range all {
		if matches(o, options[0]) {
			selected = append(selected, o)
		}
	}
	return list, meta.SetList(list, selected)
}

func access(o runtime.Object) metav1.Object {
	object, err := meta.Accessor(o)
	if err != nil {
		panic(err)
	}
	return object
}

// heeding heeds contexts, which the fake clientset does not, for the patches of
// Services, the middle of a switch.
type heeding struct{ kubernetes.Interface }

// IsWatchListSemanticsUnSupported tells informers, as the fake clientset does,
// to list before they watch.
func (heeding) IsWatchListSemanticsUnSupported() bool { return true }

func (h heeding) CoreV1() typedcorev1.CoreV1Interface { return heedingCore{h.Interface.CoreV1()} }

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
