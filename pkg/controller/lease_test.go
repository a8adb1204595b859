package controller

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// A foreign Lease appears between the look and the write.
func TestForeignLeaseAtTheSameTime(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"))
		var once sync.Once
		c.Server.OnRequest(func(action clienttesting.Action) error {
			if action.Matches("create", "leases") {
				once.Do(func() {
					if _, err := c.Users.CoordinationV1().Leases(fakeapi.Namespace).Create(t.Context(), fakeapi.ForeignLease("web", "somebody"), metav1.CreateOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			return nil
		})
		s := c.start()
		c.Settle()
		c.Expect(
			"Lease web: foreign somebody",
			"Service web: app=web",
			"Pod web-0:",
		)
		if diff := cmp.Diff([]string{"create leases web"}, s.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestLeaseSaysSinceWhen(t *testing.T) {
	inCluster(t, func(c *cluster) {
		serving(c)
		times := func() (acquired, renewed time.Time) {
			t.Helper()
			lease, err := c.Users.CoordinationV1().Leases(fakeapi.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if lease.Spec.AcquireTime == nil || lease.Spec.RenewTime == nil {
				t.Fatalf("acquired %v, renewed %v", lease.Spec.AcquireTime, lease.Spec.RenewTime)
			}
			return lease.Spec.AcquireTime.Time, lease.Spec.RenewTime.Time
		}
		failed := time.Now()
		c.EditPod("web-0", fakeapi.SetNotReady)
		c.Wait(time.Hour)
		acquired, renewed := times()
		if after := acquired.Sub(failed); after <= 0 || after > time.Second {
			t.Errorf("acquired %s after the failure", after)
		}
		if !renewed.Equal(acquired) {
			t.Errorf("renewed at %s, acquired at %s; the Lease is not renewed", renewed, acquired)
		}

		// A holder that is put back has held the Lease all the time.
		refused := time.Now()
		c.SwitchTo("web", "web-9")
		c.Settle()
		if again, renewed := times(); !again.Equal(acquired) || renewed.Before(refused) {
			t.Errorf("acquired at %s, and before at %s; renewed %s after the edit", again, acquired, renewed.Sub(refused))
		}
	})
}
