package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// simulatedNamespace is the only one of the simulation.
const simulatedNamespace = "default"

// simulated is an object of the API server.
type simulated interface {
	comparable
	metav1.Object
	runtime.Object
}

// table has the objects of a kind by name. They are replaced, never changed, so that
// caches can keep them.
type table[T simulated] struct {
	kind string
	all  map[string]T
}

func newTable[T simulated](kind string) table[T] { return table[T]{kind, map[string]T{}} }

// list returns the objects by name.
func (t table[T]) list() []T {
	return slices.SortedFunc(maps.Values(t.all), func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
}

func (t table[T]) uid(uid types.UID) (found T) {
	for _, o := range t.all {
		if o.GetUID() == uid {
			return o
		}
	}
	return found
}

// world is the API server, and whatever else acts on it.
type world struct {
	now     time.Time
	version int

	services table[*corev1.Service]
	pods     table[*corev1.Pod]
	nodes    table[*corev1.Node]
	leases   table[*coordinationv1.Lease]
	slices   table[*discoveryv1.EndpointSlice]

	platform platform
	replicas []*replica
	// denied are the objects that a policy lets no replica write, as "kind name".
	denied  map[string]bool
	mended  mended
	profile profile

	// begun is set once a Lease has had a master, or has gone.
	begun bool
	// records are what the Leases have said, by name.
	records map[string]*record
	// able are the pods that could be master, and the nodes that are not cordoned, with the
	// version of the world since which they are.
	able map[types.UID]int
	// unable are the others.
	unable map[types.UID]int
	// claims are the priorities that the pods' answers claim; claimed is the version at which one has
	// changed last, or what a replica hears of them.
	claims  map[types.UID]string
	claimed int
	// off are the nodes without power. Kubernetes has yet to notice.
	off sets.Set[string]
	// unlisted is the version at which a slice was last deleted.
	unlisted int
	// held are the pods that ever held a Lease.
	held map[types.UID]bool
	// deletions are when replicas have deleted pods within the last minute.
	deletions []time.Time
	// writes counts those of replicas, without renewals.
	writes int
	// failure is what must not be; empty while all is well.
	failure string
	// telling makes a line of each thing that happens.
	telling bool
	told    []string
}

func newWorld(p profile, m mended) *world {
	w := &world{
		now:      time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
		services: newTable[*corev1.Service]("Service"),
		pods:     newTable[*corev1.Pod]("Pod"),
		nodes:    newTable[*corev1.Node]("Node"),
		leases:   newTable[*coordinationv1.Lease]("Lease"),
		slices:   newTable[*discoveryv1.EndpointSlice]("EndpointSlice"),
		platform: newPlatform(),
		denied:   map[string]bool{},
		records:  map[string]*record{},
		able:     map[types.UID]int{},
		unable:   map[types.UID]int{},
		held:     map[types.UID]bool{},
		claims:   map[types.UID]string{},
		off:      sets.New[string](),
		mended:   m,
	}
	p.begin(w)
	for i := range 3 {
		w.replicas = append(w.replicas, newReplica(w, i+1))
	}
	w.rateHearing()
	return w
}

// tell takes down what has happened. The arguments are formatted only where somebody reads them.
func (w *world) tell(format string, args ...any) {
	if w.telling {
		w.told = append(w.told, fmt.Sprintf(format, args...))
	}
}

// fail takes down the first thing that must not be.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.tell("WRONG: %s", w.failure)
	}
}

func (w *world) next() string { w.version++; return strconv.Itoa(w.version) }

// put stores a new object, or another version of it, which the caller has made.
func put[T simulated](w *world, t table[T], o T) T {
	if live, exists := t.all[o.GetName()]; exists {
		o.SetUID(live.GetUID())
		o.SetCreationTimestamp(live.GetCreationTimestamp())
	} else {
		o.SetNamespace(simulatedNamespace)
		o.SetUID(types.UID(o.GetName() + "." + w.next()))
		o.SetCreationTimestamp(metav1.NewTime(w.now.Truncate(time.Second)))
	}
	o.SetResourceVersion(w.next())
	t.all[o.GetName()] = o
	w.platform.changed(o, o.GetName())
	w.rate(o, true)
	w.written()
	return o
}

// remove deletes an object for good.
func remove[T simulated](w *world, t table[T], name string) {
	o, exists := t.all[name]
	if !exists {
		return
	}
	w.next()
	if delete(t.all, name); t.kind == w.slices.kind {
		w.unlisted = w.version
	}
	w.platform.removed(o, name)
	w.rate(o, false)
	w.written()
}

// change stores what edit makes of an object, and reports whether there is one.
func change[T simulated](w *world, t table[T], name string, edit func(T)) bool {
	live, exists := t.all[name]
	if !exists {
		return false
	}
	changed := live.DeepCopyObject().(T)
	edit(changed)
	put(w, t, changed)
	return true
}

// state is what there is, in lines for people.
func (w *world) state() (lines []string) {
	for _, l := range w.leases.list() {
		lines = append(lines, "Lease "+l.Name+": "+w.showLease(l))
	}
	for _, s := range w.services.list() {
		lines = append(lines, fmt.Sprintf("Service %s: selector %s, annotations %s, %s, owner of its slices %s", s.Name, show(s.Spec.Selector), show(s.Annotations), s.Spec.Type, s.UID))
	}
	for _, p := range w.pods.list() {
		lines = append(lines, fmt.Sprintf("Pod %s: %s, labels %s, annotations %s", p.UID, showPod(p), show(p.Labels), show(p.Annotations)))
	}
	for _, s := range w.slices.list() {
		lines = append(lines, "EndpointSlice "+s.Name+": "+showSlice(s))
	}
	return lines
}

func (w *world) showLease(l *coordinationv1.Lease) string {
	holder, epoch := "nobody", int32(0)
	if l.Spec.HolderIdentity != nil {
		holder = *l.Spec.HolderIdentity
	}
	if l.Spec.LeaseTransitions != nil {
		epoch = *l.Spec.LeaseTransitions
	}
	text := fmt.Sprintf("%s (%s) in epoch %d", holder, l.Annotations[api.AnnotationHolderUID], epoch)
	if next := l.Annotations[api.AnnotationNextHolder]; next != "" {
		text += ", next " + next
	}
	if demoted := l.Annotations[api.AnnotationDemotedUID]; demoted != "" {
		text += ", demoted " + demoted
	}
	if l.Spec.RenewTime != nil {
		text += ", renewed " + w.ago(l.Spec.RenewTime.Time)
	}
	if l.Labels[api.LabelManagedBy] == "" {
		text += ", foreign"
	}
	for _, o := range l.OwnerReferences {
		text += ", of " + string(o.UID)
	}
	return text
}

func (w *world) ago(t time.Time) string { return w.now.Sub(t).String() + " ago" }

func showPod(p *corev1.Pod) string {
	text := "not Ready"
	if observation.Ready(p) {
		text = "Ready"
	}
	if p.DeletionTimestamp != nil {
		text += ", terminating"
	}
	if observation.Finished(p) {
		text += ", finished"
	}
	return text + ", on " + p.Spec.NodeName
}

func showSlice(s *discoveryv1.EndpointSlice) string {
	text := ""
	for _, e := range s.Endpoints {
		text += string(e.TargetRef.UID)
		if !*e.Conditions.Ready {
			text += " (not ready)"
		}
		if e.Zone != nil {
			text += " in zone " + *e.Zone
		}
		text += ", "
	}
	for _, o := range s.OwnerReferences {
		text += "of " + string(o.UID)
	}
	return text + ", annotations " + show(s.Annotations)
}

// show writes labels without what all of them begin with.
func show(labels map[string]string) string {
	text := ""
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		text += " " + short(key) + "=" + labels[key]
	}
	return "[" + text[min(1, len(text)):] + "]"
}

func short(key string) string {
	if len(key) > len(api.Domain) && key[:len(api.Domain)] == api.Domain {
		return key[len(api.Domain):]
	}
	return key
}
