package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
)

// The kinds of faults, by which the report sorts the times without an endpoint.
const (
	faultAPIServer         = "kube-apiserver"
	faultEtcd              = "etcd"
	faultControllerManager = "kube-controller-manager"
	faultReplica           = "a replica"
	faultNoReplica         = "all replicas"
	faultNode              = "a node that is gone"
	faultPolicy            = "labels refused"
)

// replica is a process of the controller, or the place of one.
type replica struct {
	name    string
	running *install.Replica
	// busy: it is killed, frozen or starting.
	busy bool
}

// free returns a replica that runs.
func (c *chaos) free(b int) (*replica, error) {
	if r := c.replicas[b%len(c.replicas)]; !r.busy {
		return r, nil
	}
	return nil, errNothing
}

// occupy marks a replica as one that does not work, and free as one that does.
func (c *chaos) occupy(r *replica, busy bool) {
	if r.busy == busy {
		return
	}
	r.busy = busy
	c.fault(faultReplica, busy)
	working := 0
	for _, r := range c.replicas {
		if !r.busy {
			working++
		}
	}
	if busy && working == 0 || !busy && working == 1 {
		c.fault(faultNoReplica, busy)
	}
}

func (c *chaos) killReplica(_ context.Context, _, b int) error {
	return c.endReplica(b, "killed", (*install.Replica).Kill)
}

func (c *chaos) stopReplica(_ context.Context, _, b int) error {
	return c.endReplica(b, "stopped", (*install.Replica).Stop)
}

func (c *chaos) endReplica(b int, how string, end func(*install.Replica)) error {
	r, err := c.free(b)
	if err != nil {
		return err
	}
	c.tell("", "%s is %s", r.name, how)
	c.occupy(r, true)
	end(r.running)
	c.later(within(5*time.Second, b), func(ctx context.Context) error {
		c.start(ctx, r)
		return nil
	})
	return nil
}

// start starts a replica, which takes time. It works when the loop hears of it.
func (c *chaos) start(ctx context.Context, r *replica) {
	c.starting++
	go func() {
		running, err := c.installation.Start(context.WithoutCancel(ctx), r.name, "")
		c.started <- func() error {
			c.starting--
			if err != nil {
				c.tell("", "%s does not start: %v", r.name, err)
				c.later(time.Second, func(ctx context.Context) error { c.start(ctx, r); return nil })
				return nil
			}
			c.tell("", "%s has started", r.name)
			r.running = running
			c.occupy(r, false)
			return nil
		}
	}()
}

func (c *chaos) freezeReplica(_ context.Context, _, b int) error {
	r, err := c.free(b)
	if err != nil {
		return err
	}
	c.tell("", "%s is frozen", r.name)
	c.occupy(r, true)
	if err := r.running.Freeze(); err != nil {
		return err
	}
	c.later(within(15*time.Second, b), func(context.Context) error {
		c.tell("", "%s thaws", r.name)
		c.occupy(r, false)
		return r.running.Thaw()
	})
	return nil
}

// freezes returns an actor that freezes a program of the control plane.
func freezes(program string, longest time.Duration) func(*chaos, context.Context, int, int) error {
	return func(c *chaos, _ context.Context, _, b int) error {
		if c.frozen[program] {
			return errNothing
		}
		c.tell("", "%s is frozen", program)
		thaw, err := c.plane.Freeze(program)
		if err != nil {
			return err
		}
		c.frozen[program] = true
		c.during(program, within(longest, b), func(context.Context) error {
			c.tell("", "%s thaws", program)
			c.frozen[program] = false
			return thaw()
		})
		return nil
	}
}

// denyLabels lets a policy refuse what the controller writes to the pods of an application,
// or to one of them.
func (c *chaos) denyLabels(ctx context.Context, a, b int) error {
	if c.denying {
		return errNothing
	}
	app := appAt(a)
	var names []string
	for n := range podsOfEach {
		names = append(names, podName(app, n))
	}
	if b%2 == 0 {
		names = []string{podName(app, b/2)}
	}
	policies, bindings := c.client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), c.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	const name = "chaos.example.com"
	c.tell(app, "a policy refuses labels of %s", strings.Join(names, ", "))
	c.refuse(names...)
	c.denying = true
	c.during(faultPolicy, within(40*time.Second, b), func(ctx context.Context) error {
		c.tell("", "the policy ends")
		for _, remove := range []func(context.Context, string, metav1.DeleteOptions) error{bindings.Delete, policies.Delete} {
			if err := remove(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		c.denying = false
		c.refuse()
		return nil
	})
	user := "system:serviceaccount:" + install.Namespace + ":" + install.ServiceAccount
	_, err := policies.Create(ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Validations: []admissionv1.Validation{{
				Expression: fmt.Sprintf("request.userInfo.username != %q || !object.metadata.name.matches(%q)", user, "^("+strings.Join(names, "|")+")$"),
				Message:    "labels are refused",
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = bindings.Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	return err
}
