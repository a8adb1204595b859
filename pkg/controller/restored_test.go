package controller

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// versioned is a watch that has shown everything up to a version.
type versioned string

func (v versioned) LastSyncResourceVersion() string { return string(v) }

func TestAPIServerThatWasRestored(t *testing.T) {
	tests := map[string]struct {
		// last is the version that the watch had shown, shown what it has shown since.
		last, shown string
		quiet       time.Duration
		// listed is the version of a list.
		listed   string
		restored string
		asks     bool
	}{
		"the watch goes on":                                    {last: "1000", shown: "1001", quiet: time.Minute},
		"the watch goes back":                                  {last: "1000", shown: "900", quiet: time.Minute, restored: "from resource version 1000 to 900"},
		"the watch shows nothing for a minute":                 {last: "1000", shown: "1000", quiet: time.Minute, listed: "900"},
		"the watch shows nothing, because nothing has changed": {last: "1000", shown: "1000", quiet: 6 * time.Minute, listed: "1000", asks: true},
		"the watch shows nothing, though much has changed":     {last: "1000", shown: "1000", quiet: 6 * time.Minute, listed: "2000", asks: true},
		"the watch is deaf":                                    {last: "1000", shown: "1000", quiet: 6 * time.Minute, listed: "900", asks: true, restored: "from resource version 1000 to 900"},
		"a version that is no number":                          {last: "1000", shown: "1000", quiet: 6 * time.Minute, listed: "x", asks: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				s := c.prepare()
				defer s.queue.ShutDown()
				asked := false
				s.client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
					asked = true
					return true, &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: test.listed}}, nil
				})
				err := s.wentBack(c.Context(), "", &heardOf{versioned(test.shown), test.last, time.Now().Add(-test.quiet)})
				if (err != nil) != (test.restored != "") || err != nil && !strings.Contains(err.Error(), test.restored) {
					t.Errorf("error %v, want %q", err, test.restored)
				}
				if asked != test.asks {
					t.Errorf("asked: %v, want %v", asked, test.asks)
				}
			})
		})
	}
}

func TestControllerEndsWhenTheAPIServerWasRestored(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Wait(20 * time.Minute)
		select {
		case <-s.done:
			t.Fatalf("it has ended: %v", s.ended)
		default:
		}
		c.Server.GoBack()
		c.Wait(2 * time.Minute)
		select {
		case <-s.done:
			if s.ended == nil {
				t.Error("it has ended without an error")
			}
		default:
			t.Error("it has not ended")
		}
	})
}
