package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// elections adds the elections of a namespace. It is an error only if the Services cannot be
// read.
func (o *reportCommand) elections(ctx context.Context, c connection) error {
	annotated, err := c.live().Annotated(ctx, c.namespace)
	if err != nil {
		return err
	}
	services, err := o.chosen(ctx, c, annotated)
	if err != nil {
		return err
	}
	folder := c.namespace + "/"
	uids := sets.New[types.UID]()
	var public []*corev1.Service
	for _, s := range services {
		public = append(public, publicService(s))
		uids.Insert(s.UID)
		e := func(out io.Writer) *env {
			return &env{IOStreams: genericiooptions.IOStreams{Out: out, ErrOut: out}, connect: func() (connection, error) { return c, nil }}
		}
		o.print(folder+"check-"+s.Name+".txt", func(out io.Writer) error { return e(out).checkService(ctx, s.Name) })
		if api.Annotated(s) {
			o.print(folder+"history-"+s.Name+".txt", func(out io.Writer) error { return e(out).history(ctx, s.Name, &output{format: wide}) })
		}
	}
	if slices.ContainsFunc(services, api.Annotated) {
		o.print(folder+"status.txt", func(out io.Writer) error { return c.printStatus(ctx, out, services) })
	}
	addObjects(&o.bundle, folder+"services.yaml", public)
	leases := o.leases(ctx, c, services, uids)
	addObjects(&o.bundle, folder+"leases.yaml", leases)
	pods := o.pods(ctx, c, services, leases, uids)
	addObjects(&o.bundle, folder+"pods.yaml", pods)
	addObjects(&o.bundle, folder+"endpointslices.yaml", o.slices(ctx, c, services))
	addObjects(&o.bundle, folder+"events.yaml", o.eventsOf(ctx, c, uids))
	o.nodes(ctx, c, pods)
	return nil
}

// chosen returns the Services that are named, with those that share their Leases; all annotated ones
// if none is named.
func (o *reportCommand) chosen(ctx context.Context, c connection, annotated []*corev1.Service) (services []*corev1.Service, err error) {
	if len(o.names) == 0 {
		return annotated, nil
	}
	for _, name := range o.names {
		s := service(annotated, c.namespace, name)
		if s == nil {
			if s, err = c.live().Service(ctx, c.namespace, name); err != nil {
				return nil, err
			}
		}
		if s == nil {
			return nil, fmt.Errorf("services %q not found in %s namespace", name, c.namespace)
		}
		if !slices.Contains(services, s) {
			services = append(services, s)
		}
	}
	for _, s := range annotated {
		if !slices.Contains(services, s) && slices.ContainsFunc(services, func(other *corev1.Service) bool { return observation.LeaseKey(other) == observation.LeaseKey(s) }) {
			services = append(services, s)
		}
	}
	return services, nil
}

// printStatus prints what the command status does.
func (c connection) printStatus(ctx context.Context, out io.Writer, services []*corev1.Service) error {
	w, err := read(ctx, c.live(), c.namespace)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, s := range w.services {
		if service(services, s.Namespace, s.Name) != nil {
			rows = append(rows, rowOf(w, s).cells(false))
		}
	}
	return printers.NewTablePrinter(printers.PrintOptions{Wide: true}).PrintObj(table(statusColumns, rows...), out)
}

func (o *reportCommand) leases(ctx context.Context, c connection, services []*corev1.Service, uids sets.Set[types.UID]) (leases []*coordinationv1.Lease) {
	keys := sets.New[types.NamespacedName]()
	for _, s := range services {
		k := observation.LeaseKey(s)
		if keys.Has(k) {
			continue
		}
		keys.Insert(k)
		l, err := c.live().Lease(ctx, k)
		switch {
		case err != nil:
			o.lacks("the Lease "+k.String(), err)
		case l != nil:
			uids.Insert(l.UID)
			leases = append(leases, publicLease(l))
		}
	}
	return leases
}

// pods returns those that a Service selects, that hold a Lease, or that carry the controller's marks.
func (o *reportCommand) pods(ctx context.Context, c connection, services []*corev1.Service, leases []*coordinationv1.Lease, uids sets.Set[types.UID]) (pods []*corev1.Pod) {
	all, err := c.live().Pods(ctx, c.namespace)
	if err != nil {
		o.lacks("the pods of "+c.namespace, err)
	}
	for _, p := range all {
		concerned := slices.ContainsFunc(services, func(s *corev1.Service) bool { return api.Selects(s, p.Labels) }) ||
			slices.ContainsFunc(leases, func(l *coordinationv1.Lease) bool { return lease.Decode(l).HolderUID == p.UID }) ||
			len(o.names) == 0 && observation.MarkedPod(p)
		if concerned {
			uids.Insert(p.UID)
			pods = append(pods, publicPod(p))
		}
	}
	return pods
}

func (o *reportCommand) slices(ctx context.Context, c connection, services []*corev1.Service) (of []*discoveryv1.EndpointSlice) {
	all, err := c.live().Slices(ctx, c.namespace, "")
	if err != nil {
		o.lacks("the EndpointSlices of "+c.namespace, err)
	}
	for _, slice := range all {
		if key := observation.ServiceOf(slice); service(services, key.Namespace, key.Name) != nil {
			slice.ObjectMeta = publicMeta(slice.ObjectMeta)
			of = append(of, slice)
		}
	}
	return of
}

func (o *reportCommand) eventsOf(ctx context.Context, c connection, uids sets.Set[types.UID]) (of []*eventsv1.Event) {
	list, err := c.client.EventsV1().Events(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		o.lacks("the events of "+c.namespace, err)
		return nil
	}
	for i := range list.Items {
		if e := &list.Items[i]; uids.Has(e.Regarding.UID) {
			of = append(of, publicEvent(e))
		}
	}
	return of
}

// nodes adds the pods' nodes, and their heartbeats.
func (o *reportCommand) nodes(ctx context.Context, c connection, pods []*corev1.Pod) {
	names := sets.New[string]()
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			names.Insert(p.Spec.NodeName)
		}
	}
	var nodes []*corev1.Node
	var heartbeats []*coordinationv1.Lease
	for _, name := range sets.List(names) {
		node, err := c.live().Node(ctx, name)
		switch {
		case err != nil:
			o.lacks("the node "+name, err)
		case node == nil:
			o.lacks("the node "+name, errors.New("it does not exist"))
		default:
			nodes = append(nodes, publicNode(node))
		}
		l, err := c.live().Lease(ctx, types.NamespacedName{Namespace: corev1.NamespaceNodeLease, Name: name})
		switch {
		case err != nil:
			o.lacks("the heartbeat of the node "+name, err)
		case l != nil:
			heartbeats = append(heartbeats, publicLease(l))
		}
	}
	addObjects(&o.bundle, c.namespace+"/nodes.yaml", nodes)
	addObjects(&o.bundle, c.namespace+"/node-heartbeats.yaml", heartbeats)
}

// controller adds the controllers that there are, with their logs and metrics.
func (o *reportCommand) controller(ctx context.Context) {
	const folder = "controller/"
	options := metav1.ListOptions{LabelSelector: controllerSelector}
	namespace := metav1.NamespaceAll
	deployments, err := o.client.AppsV1().Deployments(namespace).List(ctx, options)
	if apierrors.IsForbidden(err) {
		namespace = controllerNamespace
		deployments, err = o.client.AppsV1().Deployments(namespace).List(ctx, options)
	}
	if err != nil {
		o.lacks("the controller's Deployment", err)
	} else {
		var public []*appsv1.Deployment
		for i := range deployments.Items {
			public = append(public, publicDeployment(&deployments.Items[i]))
		}
		addObjects(&o.bundle, folder+"deployments.yaml", public)
	}
	pods, err := o.client.CoreV1().Pods(namespace).List(ctx, options)
	if apierrors.IsForbidden(err) && namespace == metav1.NamespaceAll {
		pods, err = o.client.CoreV1().Pods(controllerNamespace).List(ctx, options)
	}
	switch {
	case err != nil:
		o.lacks("the controller's pods", err)
		return
	case len(pods.Items) == 0:
		o.lacks("the controller", fmt.Errorf("there is no pod with the label %s", controllerSelector))
		return
	}
	var public []*corev1.Pod
	for i := range pods.Items {
		public = append(public, publicPod(&pods.Items[i]))
	}
	addObjects(&o.bundle, folder+"pods.yaml", public)
	for i := range pods.Items {
		o.replica(ctx, folder, &pods.Items[i])
	}
}

// replica adds what a replica of the controller logs and measures.
func (o *reportCommand) replica(ctx context.Context, folder string, pod *corev1.Pod) {
	client := o.client.CoreV1().Pods(pod.Namespace)
	for _, c := range pod.Spec.Containers {
		if c.Name != controllerName {
			// A sidecar's logs are others' business.
			continue
		}
		name := folder + pod.Name
		restarted := slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name && s.RestartCount > 0 })
		for _, previous := range []bool{false, true} {
			if previous && !restarted {
				continue
			}
			file := name + ".log"
			if previous {
				file = name + "-previous.log"
			}
			options := &corev1.PodLogOptions{Container: c.Name, Previous: previous, Timestamps: true, TailLines: ptr.To[int64](logLines)}
			data, err := client.GetLogs(pod.Name, options).DoRaw(ctx)
			if err != nil {
				o.lacks(file, err)
				continue
			}
			o.add(file, data)
		}
		for _, port := range c.Ports {
			if port.Name != "http" {
				continue
			}
			data, err := client.ProxyGet("http", pod.Name, fmt.Sprint(port.ContainerPort), "/metrics", nil).DoRaw(ctx)
			if err != nil {
				o.lacks(name+".metrics", err)
				continue
			}
			o.add(name+".metrics", data)
		}
	}
}
