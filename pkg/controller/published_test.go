package controller

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// warned are the messages of the Warning events of that reason, without what begins them.
func (s *started) warned(reason string) (messages []string) {
	for _, line := range s.events.Take() {
		if message, found := strings.CutPrefix(line, "Warning "+reason+" Check on web: "); found {
			messages = append(messages, message)
		}
	}
	return messages
}

func TestWhatKubernetesDoesNotPublishIsReported(t *testing.T) {
	const begin = "the EndpointSlices of the Service are not as they should be: traffic goes to "
	tests := map[string]struct {
		happens func(*cluster)
		want    []string
	}{
		"it publishes in time": {func(c *cluster) { c.SwitchTo("web", "web-1") }, nil},
		"it takes a second": {func(c *cluster) {
			c.RunKubernetes(time.Second)
			c.SwitchTo("web", "web-1")
		}, nil},
		"it stands still while the master moves": {func(c *cluster) {
			c.stopKubernetes()
			c.SwitchTo("web", "web-1")
		}, []string{begin + "web-0, and not to web-1, which is master"}},
		"it stands still, and goes on after a minute": {func(c *cluster) {
			c.stopKubernetes()
			c.SwitchTo("web", "web-1")
			c.Wait(time.Minute)
			c.RunKubernetes(fakeapi.BuiltInDelay)
			c.Wait(time.Minute)
			c.SwitchTo("web", "web-0")
			// When it starts, it publishes the Service before it has heard of the pods.
		}, []string{begin + "web-0, and not to web-1, which is master", begin + "no pod, though web-1 is master"}},
		"it stands still while the master is down and nobody can take over": {func(c *cluster) {
			c.EditPod("web-1", fakeapi.SetNotReady)
			c.Settle()
			c.stopKubernetes()
			c.EditPod("web-0", fakeapi.SetNotReady)
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				s := c.start()
				c.Settle()
				test.happens(c)
				c.Wait(9 * time.Minute)
				if diff := cmp.Diff(test.want, s.warned("NotPublished")); diff != "" {
					t.Errorf("warned (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestMasterThatIsNotPublishedIsReportedAgain(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		c.stopKubernetes()
		c.SwitchTo("web", "web-1")
		c.Wait(time.Hour)
		// An event that is not renewed is gone after an hour.
		if n := len(s.warned("NotPublished")); n < 3 || n > 7 {
			t.Errorf("warned %d times in an hour", n)
		}
	})
}

func TestRefusedWriteIsReported(t *testing.T) {
	unserved := errors.New("no quorum")
	services := schema.GroupResource{Resource: "services"}
	forbidden := apierrors.NewForbidden(services, "web", unserved)
	tests := map[string]struct {
		err   error
		lasts time.Duration
		want  []string
	}{
		"it is forbidden":                          {forbidden, time.Minute, []string{`the API server refuses a write of the controller: writing Service web: services "web" is forbidden: no quorum`}},
		"a webhook cannot be called":               {apierrors.NewInternalError(unserved), time.Minute, []string{"the API server refuses a write of the controller: writing Service web: Internal error occurred: no quorum"}},
		"it is forbidden for a second":             {forbidden, time.Second, nil},
		"the API server has too much to do":        {apierrors.NewTooManyRequests("later", 1), time.Minute, nil},
		"the API server cannot be reached":         {unserved, time.Minute, nil},
		"others change the object again and again": {apierrors.NewConflict(services, "web", unserved), time.Minute, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
				s := c.start()
				c.Settle()
				failed := c.failing("patch", "services", test.err)
				c.SwitchTo("web", "web-1")
				c.Wait(test.lasts)
				if failed.Load() == 0 {
					t.Error("nothing was refused, so that nothing is tested")
				}
				c.failingNoMore()
				c.Wait(time.Minute)
				if diff := cmp.Diff(test.want, s.warned("WriteRefused")); diff != "" {
					t.Errorf("warned (-want +got):\n%s", diff)
				}
			})
		})
	}
}
