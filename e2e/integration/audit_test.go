//go:build integration

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
)

// request is a line of the API server's audit log.
type request struct {
	Verb      string
	User      struct{ Username string }
	ObjectRef struct {
		APIGroup, Resource, Subresource, Namespace, Name string
	}
	UserAgent                string
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp metav1.MicroTime
}

func (r request) String() string {
	return fmt.Sprintf("%s %s/%s %s/%s: %d", r.Verb, r.ObjectRef.APIGroup, path.Join(r.ObjectRef.Resource, r.ObjectRef.Subresource), r.ObjectRef.Namespace, r.ObjectRef.Name, r.ResponseStatus.Code)
}

func (r request) write() bool { return r.Verb != "get" && r.Verb != "list" && r.Verb != "watch" }

// requests of the controller, all replicas, since a time.
func requests(since time.Time) ([]request, error) { return requestsFrom(install.Namespace, since) }

// requestsFrom are those of the controller's account in a namespace.
func requestsFrom(namespace string, since time.Time) ([]request, error) {
	log, err := os.Open(plane.AuditLog)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var found []request
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// What of a line is there is being written.
			return found, nil
		} else if err != nil {
			return nil, err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("the audit log: %w", err)
		}
		user := "system:serviceaccount:" + namespace + ":" + install.ServiceAccount
		if r.User.Username == user && r.UserAgent != attacker && !r.RequestReceivedTimestamp.Time.Before(since) {
			found = append(found, r)
		}
	}
}

// checkAudit compares the rules of manifests/ with what all tests together made
// the controller ask for: no request was forbidden, and no verb was needless.
func checkAudit() error {
	all, err := requests(time.Time{})
	if err != nil {
		return err
	}
	var problems []error
	for _, r := range all {
		if r.ResponseStatus.Code == 403 {
			problems = append(problems, fmt.Errorf("forbidden: %s", r))
		}
	}
	if flag.Lookup("test.run").Value.String() != "" {
		// A few tests need a few of the rights.
		return errors.Join(problems...)
	}
	roles, err := client.RbacV1().ClusterRoles().List(context.Background(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + install.ServiceAccount})
	if err != nil {
		return err
	}
	var rules []rbacv1.PolicyRule
	for _, role := range roles.Items {
		rules = append(rules, role.Rules...)
	}
	return errors.Join(append(problems, needless(rules, all)...)...)
}

// needless finds what the rules grant, and the requests did not need.
func needless(rules []rbacv1.PolicyRule, all []request) (problems []error) {
	used := sets.New[string]()
	for _, r := range all {
		resource := path.Join(r.ObjectRef.Resource, r.ObjectRef.Subresource)
		used.Insert(strings.Join([]string{r.ObjectRef.APIGroup, resource, r.Verb}, "/"))
	}
	for _, granted := range grants(rules) {
		// Events are patched when they repeat, after minutes; and what is watched
		// is listed first where the API server can't stream that.
		needed := used.Has(granted) || granted == "events.k8s.io/events/patch" ||
			strings.HasSuffix(granted, "/list") && used.Has(strings.TrimSuffix(granted, "list")+"watch")
		if !needed {
			problems = append(problems, fmt.Errorf("granted by manifests/, but never needed: %s", granted))
		}
	}
	return problems
}

func grants(rules []rbacv1.PolicyRule) (all []string) {
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, strings.Join([]string{group, resource, verb}, "/"))
				}
			}
		}
	}
	return all
}
