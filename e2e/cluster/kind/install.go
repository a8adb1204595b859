package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Where manifests/ installs the controller.
const (
	Namespace  = "kube-system"
	Deployment = "deployment/active-standby-controller"
)

// Load copies images from the Docker engine to every node.
func (c *Cluster) Load(ctx context.Context, images ...string) error {
	return c.step(fmt.Sprintf("Loading %v", images), func() error {
		dir, err := os.MkdirTemp("", "images")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for i, image := range images {
			archive := filepath.Join(dir, fmt.Sprint(i)+".tar")
			if _, err := run(ctx, "", "docker", "save", "-o", archive, image); err != nil {
				return err
			}
			if _, err := run(ctx, "", c.tools.kind, "load", "image-archive", "--name", c.Name, archive); err != nil {
				return err
			}
		}
		return nil
	})
}

// Alias gives a loaded image a second name on all nodes, so that manifests with
// that name work as they are.
func (c *Cluster) Alias(ctx context.Context, image, alias string) error {
	switch host, _, found := strings.Cut(alias, "/"); {
	case !found:
		alias = "docker.io/library/" + alias
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		alias = "docker.io/" + alias
	}
	for _, node := range append([]string{c.ControlPlane}, c.Workers...) {
		if _, err := c.Exec(ctx, node, "ctr", "--namespace=k8s.io", "images", "tag", "--force", image, alias); err != nil {
			return err
		}
	}
	return nil
}

var manifestImage = regexp.MustCompile(`image: (qoqodev/active-standby-controller:\S+)`)

// Install installs the controller as its users do, from an unchanged manifests/, and
// waits until it runs. The image must be loaded. On the nodes it gets the name that
// the manifests have for it.
func (c *Cluster) Install(ctx context.Context, image string) error {
	if err := c.InstallFrom(ctx, image, c.Path("manifests")); err != nil {
		return err
	}
	_, err := c.Kubectl(ctx, "", "apply", "-f", filepath.Join(c.Path("manifests"), "on-demote"))
	return err
}

// InstallFrom is as Install, from a directory, and without what is optional.
func (c *Cluster) InstallFrom(ctx context.Context, image, manifests string) error {
	return c.step("Installing "+manifests, func() error {
		text, err := os.ReadFile(filepath.Join(manifests, "deployment.yaml"))
		if err != nil {
			return err
		}
		name := manifestImage.FindSubmatch(text)
		if name == nil {
			return fmt.Errorf("no line of %s matches %s", manifests, manifestImage)
		}
		if err := c.Alias(ctx, image, string(name[1])); err != nil {
			return err
		}
		if _, err := c.Kubectl(ctx, "", "apply", "-f", manifests); err != nil {
			return err
		}
		// A cluster that was kept may run an earlier build of the image.
		if c.existed {
			if _, err := c.Kubectl(ctx, "", "-n", Namespace, "rollout", "restart", Deployment); err != nil {
				return err
			}
		}
		return c.AwaitRollout(ctx, Namespace, Deployment)
	})
}

// Uninstall deletes what Install has created.
func (c *Cluster) Uninstall(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "", "delete", "--ignore-not-found", "-f", c.Path("manifests"), "-f", filepath.Join(c.Path("manifests"), "on-demote"))
	return err
}

// AwaitRollout waits until a rollout, such as of deployment/web, is complete.
func (c *Cluster) AwaitRollout(ctx context.Context, namespace, workload string) error {
	_, err := c.Kubectl(ctx, "", "-n", namespace, "rollout", "status", workload, "--timeout=5m")
	return err
}

// Kubectl runs kubectl on the cluster and returns what it printed.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return run(ctx, stdin, c.tools.kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
}

// Path returns the path of a file or directory of the project.
func (c *Cluster) Path(elements ...string) string {
	return filepath.Join(append([]string{c.tools.root}, elements...)...)
}
