// Package kind starts Kubernetes clusters of real nodes in containers, and installs
// the controller there, for tests that need kubelet, kube-proxy, DNS and packets. It
// needs a Docker engine. It must run inside the e2e module, because it builds kind
// and kubectl from the modules in e2e/tools.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say what cluster to start. The zero value is a good one.
type Options struct {
	// Name is the cluster's; "active-standby-e2e" by default. A cluster of that
	// name that an earlier run has left is deleted first.
	Name string
	// Image is the image of the nodes; kind's own by default.
	Image string
	// Workers is the number of nodes besides the control plane; 3 by default.
	Workers int
	// Kubeconfig is the path of the kubeconfig of an existing kind cluster, which is
	// used in place of a new one.
	Kubeconfig string
	// Dir is the directory for the cluster's kubeconfig; a temporary one by default.
	Dir string
	// Progress receives a line about each step. Nil discards them.
	Progress io.Writer
}

// Cluster is a running kind cluster.
type Cluster struct {
	Name       string
	Kubeconfig string
	Config     *rest.Config
	Client     kubernetes.Interface
	// ControlPlane and Workers are the names of the nodes, and of their containers.
	ControlPlane string
	Workers      []string

	existed  bool
	tools    tools
	progress io.Writer
}

// Start creates a cluster and waits until its nodes are Ready, or finds the one
// that Options.Kubeconfig names.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	if o.Name == "" {
		o.Name = "active-standby-e2e"
	}
	if o.Workers == 0 {
		o.Workers = 3
	}
	c = &Cluster{Name: o.Name, Kubeconfig: o.Kubeconfig, existed: o.Kubeconfig != "", progress: o.Progress}
	if c.progress == nil {
		c.progress = io.Discard
	}
	if c.tools, err = findTools(ctx, c.report); err != nil {
		return nil, err
	}
	if !c.existed {
		if err := c.create(ctx, o); err != nil {
			return nil, errors.Join(err, c.Delete(context.WithoutCancel(ctx)))
		}
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return nil, err
	}
	c.Config.QPS = -1 // no limit: tests measure the cluster, not their client
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return nil, err
	}
	return c, c.findNodes(ctx)
}

func (c *Cluster) create(ctx context.Context, o Options) error {
	if o.Dir == "" {
		var err error
		if o.Dir, err = os.MkdirTemp("", o.Name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	c.Kubeconfig = filepath.Join(o.Dir, "kubeconfig")
	if err := c.Delete(ctx); err != nil {
		return err
	}
	config := "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n" + strings.Repeat("- role: worker\n", o.Workers)
	args := []string{"create", "cluster", "--name", o.Name, "--kubeconfig", c.Kubeconfig, "--config", "-", "--wait", "5m"}
	if o.Image != "" {
		args = append(args, "--image", o.Image)
	}
	return c.step(fmt.Sprintf("Creating cluster %s of %d nodes, which takes a minute or two", o.Name, 1+o.Workers), func() error {
		if _, err := run(ctx, config, c.tools.kind, args...); err != nil {
			return err
		}
		return c.keepDNS(ctx)
	})
}

// keepDNS moves CoreDNS to the control plane's node: tests drain workers, restart them and switch them off,
// and clients that ask for a name meanwhile would wait for it.
func (c *Cluster) keepDNS(ctx context.Context) error {
	const where = `{"spec":{"template":{"spec":{"nodeSelector":{"node-role.kubernetes.io/control-plane":""}}}}}`
	if _, err := c.Kubectl(ctx, "", "-n", "kube-system", "patch", "deployment/coredns", "--patch", where); err != nil {
		return err
	}
	return c.AwaitRollout(ctx, "kube-system", "deployment/coredns")
}

// findNodes reads which nodes there are. It refuses a cluster that kind has not
// created, because tests drain and restart nodes.
func (c *Cluster) findNodes(ctx context.Context) error {
	nodes, err := c.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		path := strings.Split(node.Spec.ProviderID, "/")
		if len(path) < 4 || path[0] != "kind:" {
			return fmt.Errorf("kind has not created the node %s (%s) of the cluster in %s", node.Name, node.Spec.ProviderID, c.Kubeconfig)
		}
		c.Name = path[3]
		if _, found := node.Labels["node-role.kubernetes.io/control-plane"]; found {
			c.ControlPlane = node.Name
		} else {
			c.Workers = append(c.Workers, node.Name)
		}
	}
	if c.ControlPlane == "" || len(c.Workers) == 0 {
		return fmt.Errorf("the cluster in %s needs a control plane node and a worker", c.Kubeconfig)
	}
	return nil
}

// Delete deletes the cluster, unless it existed before Start.
func (c *Cluster) Delete(ctx context.Context) error {
	if c.existed {
		return nil
	}
	_, err := run(ctx, "", c.tools.kind, "delete", "cluster", "--name", c.Name, "--kubeconfig", c.Kubeconfig)
	return err
}
