package kubectl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// checkFiles checks manifests. Whether it fails depends on them alone, and not on the cluster.
func (o *checkCommand) checkFiles(ctx context.Context) error {
	c, unreachable := o.connect()
	found, errs := readManifests(o.files, o.recursive, o.In, c.namespace)
	errs = append(errs, found.contradictions()...)
	if len(found.annotated()) == 0 {
		fmt.Fprintln(o.ErrOut, "No annotated Services found in the files.")
		return utilerrors.NewAggregate(errs)
	}
	switch {
	case o.local:
		fmt.Fprintln(o.ErrOut, "Note: no cluster was asked (--local).")
	case unreachable == nil:
		unreachable = o.explainFiles(ctx, c, found)
	}
	if unreachable != nil && !o.local {
		fmt.Fprintf(o.ErrOut, "Note: the files alone were checked, because the cluster could not be read: %v\n", unreachable)
	}
	if o.local || unreachable != nil {
		o.listFiles(found)
	}
	return utilerrors.NewAggregate(errs)
}

// annotated returns the annotated Services of the files.
func (f manifests) annotated() (annotated []manifest[*corev1.Service]) {
	return slices.DeleteFunc(slices.Clone(f.services), func(m manifest[*corev1.Service]) bool { return !api.Annotated(m.object) })
}

// contradictions returns what is wrong with the annotated Services, in the world of the files.
func (f manifests) contradictions() (errs []error) {
	annotated := f.annotated()
	for _, m := range annotated {
		in := observation.Inputs{Key: observation.LeaseKey(m.object), Now: time.Now(), Services: inNamespace(objectsOf(annotated), m.object.Namespace), Pods: inNamespace(objectsOf(f.pods), m.object.Namespace)}
		for _, p := range observation.Look(in).Problems[m.object.UID] {
			// Unknown annotations were found before. That there is no common candidate may be because
			// the files have not all workloads.
			if p.Reason != api.ReasonUnknownAnnotation && p.Reason != api.ReasonNoCommonCandidate {
				errs = append(errs, m.errorf("%s", p.Message))
			}
		}
	}
	return errs
}

func objectsOf[T metav1.Object](of []manifest[T]) (objects []T) {
	for _, m := range of {
		objects = append(objects, m.object)
	}
	return objects
}

// selected says which pods of the files the Service selects; empty if none.
func (f manifests) selected(s *corev1.Service) string {
	var some []string
	for _, m := range f.pods {
		if m.object.Namespace == s.Namespace && api.Selects(s, m.object.Labels) {
			some = append(some, fmt.Sprintf("%s %s (%s)", m.kind, m.name, m.source))
		}
	}
	if len(some) == 0 {
		return ""
	}
	return "the pods of " + strings.Join(some, ", ")
}

// listFiles says what the annotated Services of the files select, without a cluster.
func (o *checkCommand) listFiles(found manifests) {
	for _, m := range found.annotated() {
		selected := found.selected(m.object)
		if selected == "" {
			selected = "no pods that these files have"
		}
		fmt.Fprintf(o.Out, "%s: service/%s selects %s\n", m.source, m.name, selected)
	}
}

// explainFiles explains the elections of the annotated Services as they would be in the cluster.
func (o *checkCommand) explainFiles(ctx context.Context, c connection, found manifests) error {
	first := true
	for _, m := range found.annotated() {
		t, err := c.applied(ctx, m, found)
		if err != nil {
			return err
		}
		if !first {
			fmt.Fprintln(o.Out)
		}
		first = false
		if t == nil {
			fmt.Fprintf(o.Out, "%s: service/%s changes nothing; %s\n", m.source, m.name, c.kubectl("active-standby check %s", m.name))
			continue
		}
		if err := o.explain(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// applied returns the Service as it would be, with all others of the files; nil if it is so
// already.
func (c connection) applied(ctx context.Context, m manifest[*corev1.Service], found manifests) (*subject, error) {
	c.namespace = m.object.Namespace
	var supposed []*corev1.Service
	t := &subject{connection: c, state: "new", suppose: m.source + " is applied"}
	optsIn := true
	for _, other := range inNamespace(objectsOf(found.annotated()), c.namespace) {
		now, err := c.live().Service(ctx, c.namespace, other.Name)
		if err != nil {
			return nil, err
		}
		would := applied(now, other)
		supposed = append(supposed, would)
		if other != m.object {
			continue
		}
		t.service = would
		switch {
		case now == nil:
		case api.Annotated(now) && equality.Semantic.DeepEqual(now.Annotations, would.Annotations) && equality.Semantic.DeepEqual(now.Spec.Selector, would.Spec.Selector) && sameType(now, would) && samePorts(now, would):
			return nil, nil
		default:
			t.state, optsIn = "changed", !api.Routed(now)
		}
	}
	w, err := read(ctx, c.live(), c.namespace, supposed...)
	if err != nil {
		return nil, err
	}
	if err := t.look(ctx, w); err != nil {
		return nil, err
	}
	if selected := found.selected(m.object); selected != "" && t.served() && len(t.o.Pods) == 0 {
		t.lines = append(t.lines, line{"Selects", selected + ", once they run"})
	}
	if optsIn || api.Observes(t.service) {
		t.foresee()
	}
	return t, nil
}

// sameType reports whether both Services have the same type. The API server adds ClusterIP.
func sameType(a, b *corev1.Service) bool {
	return cmp.Or(a.Spec.Type, corev1.ServiceTypeClusterIP) == cmp.Or(b.Spec.Type, corev1.ServiceTypeClusterIP)
}

// samePorts reports whether both Services have the same ports, apart from what the API server
// adds.
func samePorts(a, b *corev1.Service) bool {
	return slices.EqualFunc(a.Spec.Ports, b.Spec.Ports, func(a, b corev1.ServicePort) bool {
		return a.Name == b.Name && a.Port == b.Port && (a.TargetPort == b.TargetPort || b.TargetPort.String() == "0")
	})
}

// lastApplied returns the annotations that the manifest had when it was last applied, as kubectl
// and other tools that merge on the client record it. Those alone are removed by a manifest that
// no longer has them.
func lastApplied(s *corev1.Service) map[string]string {
	var manifest metav1.PartialObjectMetadata
	if err := json.Unmarshal([]byte(s.Annotations[corev1.LastAppliedConfigAnnotation]), &manifest); err != nil {
		return nil
	}
	return manifest.Annotations
}

// applied returns what becomes of the Service that there is now, which may be nil. What the
// controller and others have written stays.
func applied(now, manifest *corev1.Service) *corev1.Service {
	s := manifest.DeepCopy()
	if now == nil {
		// The oldest Service leads.
		s.CreationTimestamp = metav1.Now()
		return s
	}
	s.UID, s.CreationTimestamp, s.Status = now.UID, now.CreationTimestamp, now.Status
	s.Spec.Type = cmp.Or(s.Spec.Type, now.Spec.Type)
	s.Spec.ClusterIP = cmp.Or(s.Spec.ClusterIP, now.Spec.ClusterIP)
	keep := func(from, into map[string]string, keys ...string) map[string]string {
		into = maps.Clone(into)
		for _, key := range keys {
			if value, found := from[key]; found {
				if into == nil {
					into = map[string]string{}
				}
				into[key] = value
			}
		}
		return into
	}
	last := lastApplied(now)
	s.Annotations = keep(now.Annotations, s.Annotations, slices.DeleteFunc(slices.Collect(maps.Keys(now.Annotations)), func(key string) bool {
		_, given := last[key]
		_, gives := s.Annotations[key]
		return given || gives
	})...)
	s.Labels = keep(now.Labels, s.Labels, api.LabelMigrating)
	s.Spec.Selector = keep(now.Spec.Selector, s.Spec.Selector, api.LabelPodUID, api.LabelRouting)
	return s
}
