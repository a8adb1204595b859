//go:build e2e

package functional

import (
	"fmt"
	"strings"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Each step of examples/routing/README.md does what the page says, in its order.
func TestRoutingExample(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.guard.Opened("web-all")
	s.example("routing")
	s.awaitRollout("deployment/web")
	master := *s.awaitMaster("web", 1, anyPod).Spec.HolderIdentity
	s.awaitClient(master)

	s.kubectl("exec", master, "--", "rm", "/www/healthy")
	lease := s.awaitMaster("web", 2, anyPod)
	old, master := master, *lease.Spec.HolderIdentity
	s.awaitClient(master)
	s.kubectl("exec", old, "--", "touch", "/www/healthy")
	s.eventually("the former master is Ready again", func() error { return readiness(*s.pod(old)) })
	s.unmoved(lease)

	s.kubectl("exec", master, "--", "killall", "httpd")
	master = *s.awaitMaster("web", 3, anyPod).Spec.HolderIdentity
	s.awaitClient(master)

	s.kubectl("delete", "pod", master, "--wait=false")
	master = *s.awaitMaster("web", 4, anyPod).Spec.HolderIdentity
	s.awaitClient(master)

	other := s.standby("web")
	s.kubectl("patch", "lease", "web", "--type", "merge", "-p", `{"spec":{"holderIdentity":"`+other+`"}}`)
	s.awaitMaster("web", 5, other)
	s.awaitClient(other)

	s.kubectl("patch", "lease", "web", "--type", "merge", "-p", `{"spec":{"holderIdentity":"nobody"}}`)
	s.awaitWarning(string(election.EditRefused))
	s.awaitMaster("web", 5, other)

	s.awaitRollout("deployment/web")
	for name, pod := range s.pods("web") {
		if isReady(pod) { // a deleted pod need not fail
			s.kubectl("exec", name, "--", "rm", "/www/healthy")
		}
	}
	s.awaitWarning(string(election.NobodyEligible))
	s.awaitClient("(no answer)")
	holder := *s.lease("web").Spec.HolderIdentity
	for name, pod := range s.pods("web") {
		if pod.DeletionTimestamp == nil && name != holder {
			s.kubectl("exec", name, "--", "touch", "/www/healthy")
			s.awaitMaster("web", 0, name)
			s.awaitClient(name)
			break
		}
	}

	s.guard.MayGo("web")
	s.kubectl("delete", "-f", cluster.Path("examples", "routing"))
	s.awaitNothingLeft()
}

// awaitClient waits until the latest line of the client's log says that this pod answers
// for the Service web.
func (s *scene) awaitClient(master string) {
	s.Helper()
	s.eventually("the client sees "+master, func() error {
		log := s.kubectl("logs", "client", "--tail=1")
		if !strings.Contains(log, "web: "+master+" ") {
			return fmt.Errorf("the client's log says %q", log)
		}
		return nil
	})
}

// awaitWarning waits until there is a Warning event with this reason.
func (s *scene) awaitWarning(reason string) {
	s.Helper()
	s.eventually("there is a Warning "+reason, func() error {
		if s.kubectl("get", "events", "--field-selector=type=Warning,reason="+reason, "-o", "name") == "" {
			return fmt.Errorf("there is no such event")
		}
		return nil
	})
}

// example applies the manifests of an example in the namespace.
func (s *scene) example(name string) {
	s.Helper()
	s.kubectl("apply", "-f", cluster.Path("examples", name))
}

// designated returns the pod that is labelled active. `kubectl get pods -L` shows that.
func (s *scene) designated(app string) string {
	s.Helper()
	return s.kubectl("get", "pods", "-l", "app="+app+","+api.LabelDesignation+"="+api.DesignationActive, "-o", "jsonpath={.items[*].metadata.name}")
}
