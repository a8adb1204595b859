package controller

import (
	"testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestProblemsOfAServiceThatIsGoneAreForgotten(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web", fakeapi.WithAnnotation("qoqo.dev/nonsense", "")), fakeapi.NewPod("web-0"))
		s := c.start()
		c.Settle()
		if len(s.warnings.problems) == 0 {
			t.Error("there is no problem, so that nothing is tested")
		}
		c.DeleteService("web")
		c.Settle()
		if n := len(s.warnings.problems); n > 0 {
			t.Errorf("the problems of %d Services that do not exist are remembered", n)
		}
	})
}
